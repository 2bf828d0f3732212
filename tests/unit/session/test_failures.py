"""What Spark says in a stack trace, in one sentence."""

import pytest
from py4j.protocol import Py4JError

from dedup_lib.errors import UnreadableFileError
from dedup_lib.session.failures import translate_spark_errors

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
