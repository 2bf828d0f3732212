"""Session settings for the time of an action, put back afterwards."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib.errors import UnsupportedError
from dedup_lib.spark_context import setting_of

# Under these a run means the same in every session, whatever the cluster's defaults are. A platform
# that lets no session set some of them (Databricks serverless) lets no one else set them either.
RUN_SETTINGS: Mapping[str, str | None] = {
    # Nothing is skipped in silence.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "parquet.page.verify-checksum.enabled": "true",
    # No statistic of a Parquet file decides which rows are seen. Those of Delta's log can't be
    # switched off (without them Delta pins no version for a statement): see `values_of`.
    "spark.sql.parquet.filterPushdown": "false",
    # A file's columns are those of its own footer, each of the type that it has there.
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "false",
    # Dates and times go out as they came in: of another calendar or time zone they would not.
    "spark.sql.parquet.int96TimestampConversion": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    # Names are names: no patterns, no variables.
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.variable.substitute": "false",
    # Delta neither shuffles images nor rewrites them after the commit.
    "spark.databricks.delta.optimizeWrite.enabled": "false",
    "spark.databricks.delta.autoCompact.enabled": "false",
    # With another job's transaction Delta would skip the commit in silence.
    "spark.databricks.delta.write.txnAppId": None,
    "spark.databricks.delta.write.txnVersion": None,
}
_guard = threading.Lock()
_busy: weakref.WeakSet[SparkSession] = weakref.WeakSet()
_log = logging.getLogger(__name__)


@contextmanager
def one_run(spark: SparkSession) -> Iterator[None]:
    """Keep a session to one run at a time: two would set it for each other, their keys included.

    Raises:
        UnsupportedError: Another thread's run is at work in the session.
    """
    with _guard:
        if spark in _busy:
            raise UnsupportedError(
                "another run is at work in this Spark session, whose settings the two would share: "
                "give each a session of its own, made by spark.newSession() (over Spark Connect by "
                "SparkSession.builder.create())."
            )
        _busy.add(spark)
    try:
        yield
    finally:
        with _guard:
            _busy.discard(spark)


@contextmanager
def session_settings(spark: SparkSession, values: Mapping[str, str | None]) -> Iterator[None]:
    """Set runtime settings of a session (None: unset), and put them back as they were.

    The session is the caller's: other threads that use it see the values meanwhile.
    """
    before = {key: setting_of(spark, key) for key in values}
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
def tuning_settings(spark: SparkSession, values: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Set what makes an action faster or smaller, where the platform lets a session do so.

    Yields:
        The keys that were refused; the action is right without them.
    """
    before: dict[str, str | None] = {}
    try:
        refused = [key for key, value in values.items() if not _takes(spark, key, value, before)]
        if refused:
            _log.warning("this platform refuses the settings %s", refused)
        yield refused
    finally:
        _set(spark, before)


def _takes(spark: SparkSession, key: str, value: str | None, before: dict[str, str | None]) -> bool:
    """Set a setting, and note what it was; tell whether the platform took it."""
    old = setting_of(spark, key)
    try:
        _set(spark, {key: value})
    except PySparkException:
        return False
    before[key] = old
    return True
