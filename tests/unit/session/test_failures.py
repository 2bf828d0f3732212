"""What Spark says in a stack trace, in one sentence."""

import pytest
from py4j.protocol import Py4JError

from dedup_lib.errors import InputChangedError, StorageError, UnreadableFileError
from dedup_lib.session.failures import find_catalog_failure, translate_spark_errors

# As Spark says it where executors don't have the driver's disk; shortened.
TRACE = """An error occurred while calling o150.parquet.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0
\tat org.apache.spark.util.SparkThreadUtils$.awaitResult(SparkThreadUtils.scala:53)
Caused by: java.io.FileNotFoundException: File file:/data/my images/1.parquet does not exist
\tat org.apache.hadoop.fs.RawLocalFileSystem.deprecatedGetFileStatus(RawLocalFileSystem.java:917)
"""


def test_a_file_that_executors_don_t_have_is_named():
    with (
        pytest.raises(UnreadableFileError, match="was not found") as caught,
        translate_spark_errors(),
    ):
        raise Py4JError(TRACE)
    assert str(caught.value).startswith("'file:/data/my images/1.parquet' was not found")


# As Spark says it of a Delta table without its deletion vector; shortened.
READING = """An error occurred while calling o323.collectToPython.
: org.apache.spark.SparkException: [FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while \
reading file file:/data/t/part-0.snappy.parquet. File does not exist. It is possible the
\tat org.apache.spark.sql.execution.datasources.FileScanRDD$$anon$1.hasNext(FileScanRDD.scala:142)
"""
LOST = (
    "Caused by: java.io.FileNotFoundException: File file:/my data/deletion_vector_1-a.bin does n\n"
)
ON_S3 = (
    "Caused by: java.io.FileNotFoundException: No such file: s3a://b/t/ab/deletion_vector_1-a.bin\n"
)
SHORT = "Caused by: java.io.EOFException\n\tat x.DeletionVectorStoredBitmap.load(S.scala:80)\n"


@pytest.mark.parametrize(
    ("cause", "named"),
    [
        (LOST, "deletion vector 'file:/my data/deletion_vector_1-a.bin'"),
        (ON_S3, "deletion vector 's3a://b/t/ab/deletion_vector_1-a.bin'"),
        (SHORT, "deletion vector of 'file:/data/t/part-0.snappy.parquet' (java.io.EOFException)"),
    ],
)
def test_a_deletion_vector_is_named_and_not_its_data_file(cause, named):
    with pytest.raises(UnreadableFileError) as caught, translate_spark_errors():
        raise Py4JError(READING + cause)
    assert named in str(caught.value)
    assert "data file, whose rows it marks, is not the cause" in str(caught.value)
    assert "remove" not in str(caught.value)


def test_a_data_file_with_a_deletion_vector_may_be_the_cause():
    damaged = READING.replace("FILE_NOT_EXIST", "NO_HINT").replace("File does not exist. ", "")
    cause = "Caused by: java.io.IOException: can not read class PageHeader\n"
    with pytest.raises(UnreadableFileError, match="Restore or remove"), translate_spark_errors():
        raise Py4JError(damaged + cause)


def test_a_file_that_went_during_the_run_is_not_to_be_restored():
    with pytest.raises(UnreadableFileError, match="Run again") as caught, translate_spark_errors():
        raise Py4JError(READING)
    assert "estore" not in str(caught.value)
    assert ": :" not in str(caught.value)


# As Iceberg says it after expire_snapshots, and where a file was deleted; shortened.
EXPIRED = """An error occurred while calling o93.table.
: java.lang.IllegalArgumentException: Cannot find snapshot with ID 7258375469624495892
\tat org.apache.iceberg.relocated.com.google.common.base.Preconditions.checkArgument(P.java:445)
"""
GONE = """An error occurred while calling o91.collectToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed: \
org.apache.iceberg.exceptions.NotFoundException: File does not exist: /w ü%41/data/1.parquet
Caused by: java.io.FileNotFoundException: File /w ü%41/data/1.parquet does not exist
"""
MANIFEST = GONE.replace("File does not exist", "Failed to open input stream for file")


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (EXPIRED, "snapshot 7258375469624495892 of an Iceberg table was removed"),
        (GONE, "'/w ü%41/data/1.parquet' of an Iceberg table does not exist"),
        (MANIFEST, "'/w ü%41/data/1.parquet' of an Iceberg table does not exist"),
    ],
)
def test_a_snapshot_that_is_gone_is_told(trace, said):
    with pytest.raises(InputChangedError) as caught, translate_spark_errors():
        raise Py4JError(trace)
    assert str(caught.value).startswith(said)
    assert "Run again" in str(caught.value)


# As Iceberg says it of a REST server that is not there; shortened.
DOWN = """An error occurred while calling o65.sql.
: org.apache.iceberg.exceptions.RESTException: Error occurred while processing GET request
\tat org.apache.iceberg.rest.HTTPClient.execute(HTTPClient.java:360)
Caused by: org.apache.iceberg.shaded.HttpHostConnectException: Connect to http://me:key@host:1 \
failed: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
"""


def test_a_catalog_that_does_not_answer_is_told_in_one_line():
    with (
        pytest.raises(StorageError, match=r"catalog .* Connection refused\)\. Run") as caught,
        translate_spark_errors(),
    ):
        raise Py4JError(DOWN)
    assert "\n" not in str(caught.value)
    assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (
            "(org.apache.iceberg.exceptions.NotAuthorizedException) Not authorized: no token",
            "NotAuthorizedException: Not authorized: no token",
        ),
        (": java.lang.IllegalStateException: RESTExceptional", None),
        ("org.apache.iceberg.exceptions.CommitFailedException: stale", None),
    ],
)
def test_other_failures_of_catalogs(failure, told):
    assert find_catalog_failure(failure) == told
