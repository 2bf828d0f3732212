"""Change settings of a Spark session during an action, and restore them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib.errors import UnsupportedError
from dedup_lib.session.spark_session import get_setting

# With these settings a run does the same in every session, whatever the cluster's defaults are. If
# a session may not set some of them (Databricks serverless), nobody else can set them either.
RUN_SETTINGS: Mapping[str, str | None] = {
    # No file is skipped without a message.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "parquet.page.verify-checksum.enabled": "true",
    # Statistics of a Parquet file do not decide which rows are read. The statistics of Delta's log
    # can't be switched off: without them Delta pins no version for a statement. See `values_of`.
    "spark.sql.parquet.filterPushdown": "false",
    # The columns of a file, and their types, are those in its footer.
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "false",
    # Delta needs it for column mapping by ID.
    "spark.sql.parquet.fieldId.read.enabled": "true",
    # Dates and times are written as they were read: the calendar and time zone do not change.
    "spark.sql.parquet.int96TimestampConversion": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    # Names are taken literally: not as patterns, and not as variables.
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.variable.substitute": "false",
    # Delta does not shuffle images, and does not rewrite them after the commit.
    "spark.databricks.delta.optimizeWrite.enabled": "false",
    "spark.databricks.delta.autoCompact.enabled": "false",
    # With the transaction of another job, Delta would skip the commit without a message.
    "spark.databricks.delta.write.txnAppId": None,
    "spark.databricks.delta.write.txnVersion": None,
}
# A scan of IDs reads about a thousandth of its files. With Spark's usual 128 MB a task, tasks
# would be many and nearly empty. A small table still gets a task for each core.
SCAN_SETTINGS = {"spark.sql.files.maxPartitionBytes": str(16 * 1024**3)}
# With this many rows or fewer, Spark takes longer to generate and compile code, and to plan again
# after each stage, than to read the rows.
FEW_ROWS = 100_000
_FOR_FEW_ROWS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}
# Each file is read, or the read fails. A path is never a pattern.
FILE_READER_OPTIONS = {
    "ignoreCorruptFiles": "false",
    "ignoreMissingFiles": "false",
    "__globPaths__": "false",
}
PARQUET_READER_OPTIONS = FILE_READER_OPTIONS | {
    # Statistics of a file never skip rows.
    "parquet.filter.stats.enabled": "false",
    "parquet.filter.columnindex.enabled": "false",
    "parquet.filter.dictionary.enabled": "false",
    "parquet.filter.bloom.enabled": "false",
}
# Spark 4.0.0 gives rows wrong values of a column with the encoding DELTA_LENGTH_BYTE_ARRAY if the
# column has NULLs (SPARK-52240), or if the lengths of the values vary (seen without NULLs, see
# findings/). Databricks 17.3 LTS also reports version 4.0.0.
_UNVECTORIZED = {"spark.sql.parquet.enableVectorizedReader": "false"}
_guard = threading.Lock()
_busy: weakref.WeakSet[SparkSession] = weakref.WeakSet()
_log = logging.getLogger(__name__)


def run_settings(spark_version: str) -> Mapping[str, str | None]:
    """Return the session settings of a run for the Spark version that a session reports."""
    if spark_version.startswith("4.0.0"):
        return {**RUN_SETTINGS, **_UNVECTORIZED}
    return RUN_SETTINGS


@contextmanager
def one_run(spark: SparkSession) -> Iterator[None]:
    """Allow one run at a time in a session: two would overwrite each other's settings.

    Raises:
        UnsupportedError: Another thread already runs in this session.
    """
    with _guard:
        if spark in _busy:
            raise UnsupportedError(
                "another run uses this Spark session, and both would share its settings. "
                "Give each run a separate session, made by spark.newSession() (over Spark "
                "Connect by SparkSession.builder.create())."
            )
        _busy.add(spark)
    try:
        yield
    finally:
        with _guard:
            _busy.discard(spark)


@contextmanager
def session_settings(spark: SparkSession, values: Mapping[str, str | None]) -> Iterator[None]:
    """Set runtime settings of a session (None: unset), and restore the old values.

    Other threads that use the session also see the new values.
    """
    before = {key: get_setting(spark, key) for key in values}
    try:
        _set(spark, values)
        yield
    finally:
        _set(spark, before)


def _set(spark: SparkSession, values: Mapping[str, str | None]) -> None:
    for key, value in values.items():
        if value is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, value)


@contextmanager
def tuning_settings(
    spark: SparkSession, values: Mapping[str, str | None], *, level: int = logging.WARNING
) -> Iterator[list[str]]:
    """Set settings that are useful, but not necessary, if the platform allows it.

    Args:
        spark: The session.
        values: The settings; None unsets one.
        level: How to log that the platform refuses some of them.

    Yields:
        The keys that the platform refused.
    """
    before: dict[str, str | None] = {}
    try:
        refused = [key for key, value in values.items() if not _accepts(spark, key, value, before)]
        if refused:
            _log.log(level, "this platform refuses the settings %s", refused)
        yield refused
    finally:
        _set(spark, before)


@contextmanager
def tuned_for_rows(spark: SparkSession, *num_rows: int | None) -> Iterator[None]:
    """Set a session up for queries of few rows, if they are few.

    Args:
        spark: The session.
        num_rows: The rows of the tables that are read; None if the number is unknown.
    """
    known = [FEW_ROWS + 1 if rows is None else rows for rows in num_rows]
    values = _FOR_FEW_ROWS if sum(known) <= FEW_ROWS else {}
    with tuning_settings(spark, values, level=logging.DEBUG):
        yield


def _accepts(
    spark: SparkSession, key: str, value: str | None, before: dict[str, str | None]
) -> bool:
    """Set a setting, and store its old value; tell whether the platform accepted it."""
    old = get_setting(spark, key)
    try:
        _set(spark, {key: value})
    except PySparkException:
        return False
    before[key] = old
    return True
