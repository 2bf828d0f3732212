"""The report's numbers as a table that a dashboard can read: one row a run, appended."""

from __future__ import annotations

import logging
import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.attempts import attempt_directory
from dedup_lib.delta_delete import first_line, is_conflict
from dedup_lib.delta_tables import delta_root, is_delta_path, table_exists
from dedup_lib.errors import OutputExistsError
from dedup_lib.failures import errors_named
from dedup_lib.foreign_tables import check_written
from dedup_lib.locations import is_path
from dedup_lib.metrics_row import COLUMNS, SCHEMA, row_of
from dedup_lib.overlap import check_metrics
from dedup_lib.parquet_files import PARQUET_READER_OPTIONS
from dedup_lib.report import Report
from dedup_lib.session_settings import RUN_SETTINGS, one_run, tuning_settings
from dedup_lib.settings import Settings
from dedup_lib.spark_errors import SPARK_ERRORS
from dedup_lib.sql_names import sql_name
from dedup_lib.storage import Storage
from dedup_lib.sweep import sweep

# Any table of ours has these: it is how one is told from others.
_KEY_COLUMNS = ("run", "started_at", "status")
_WRITER_SETTINGS = {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
_TRIES = 4
# Two runs that make the same new table at once: one of them is told so, in one of these ways.
_MADE_MEANWHILE = ("ALREADY_EXISTS", "NON_EMPTY_LOCATION")
_log = logging.getLogger(__name__)


def append(spark: SparkSession, storage: Storage, settings: Settings, report: Report) -> None:
    """Append a run's row to the metrics table that the settings name, if they name one.

    How the run ended stays as it is: what can't be appended is an error in the log.

    Args:
        spark: The session; no run is at work in it any more.
        storage: The session's file systems.
        settings: Of the run.
        report: Of the run, which has ended.

    *Cost:* one small file, or one Delta commit.
    """
    location = settings.metrics_output
    if location is None or report.run is None:
        return
    try:
        with one_run(spark), tuning_settings(spark, RUN_SETTINGS), errors_named():
            check_metrics(spark, storage, settings)
            with tuning_settings(spark, _WRITER_SETTINGS):
                _append(spark, storage, location, settings, report)
    except Exception as error:  # whatever it is, the run is over and stays as it was
        reason = first_line(error).lstrip(": ") if str(error).strip() else type(error).__name__
        _log.error("no row was appended to --metrics-output: %s", report.hide(reason))


def _append(
    spark: SparkSession, storage: Storage, location: str, settings: Settings, report: Report
) -> None:
    values = row_of(report.as_dict(), dry_run=settings.dry_run)
    row = spark.createDataFrame([tuple(values[name] for name in COLUMNS)], SCHEMA)
    if not is_path(location):
        _append_to_table(spark, storage, location, row)
        return
    canonical = storage.canonical(location)
    if is_delta_path(storage, canonical):
        _check_columns(spark.read.format("delta").load(canonical).schema, location, is_delta=True)
        row.write.format("delta").mode("append").save(canonical)
        return
    check_written(storage, canonical, "metrics output")
    name = f"run-{values['started_at']:%Y%m%dT%H%M%SZ}-{report.run}.parquet"
    _check_directory(spark, storage, canonical)
    _add_file(storage, canonical, row, name, str(report.run))


def _append_to_table(spark: SparkSession, storage: Storage, name: str, row: DataFrame) -> None:
    for attempt in range(1, _TRIES + 1):
        if table_exists(spark, name):
            delta_root(spark, storage, name)  # which refuses what is no Delta table
            _check_columns(spark.table(sql_name(name)).schema, name, is_delta=True)
        try:
            row.write.format("delta").mode("append").saveAsTable(sql_name(name))
        except SPARK_ERRORS as error:
            is_made = any(word in str(error) for word in _MADE_MEANWHILE)
            if attempt == _TRIES or not (is_made or is_conflict(error)):
                raise
            time.sleep(attempt)
        else:
            return


def _add_file(storage: Storage, location: str, row: DataFrame, name: str, run: str) -> None:
    """Write a file of one row where no reader looks, and move it in under a name of its own."""
    sweep(storage, location, run)
    with attempt_directory(storage, location, run) as attempt:
        options = storage.committer_options(attempt.staged)
        row.coalesce(1).write.options(**options).parquet(attempt.staged)
        (written,) = [
            file.path
            for file in storage.list_files(attempt.staged)
            if file.path.endswith(".parquet")
        ]
        storage.make_directory(location)
        storage.rename(written, f"{location}/{name}")


def _check_directory(spark: SparkSession, storage: Storage, location: str) -> None:
    """Check that a place is free, or is a directory of metrics.

    Raises:
        OutputExistsError: It is something else.
    """
    if storage.exists(location) and not storage.is_directory(location):
        raise OutputExistsError(f"{location!r} is a file, not a directory.")
    names = [name for name in storage.list_names(location) if name[0] not in "._"]
    strange = [name for name in names if not name.endswith(".parquet")]
    if strange:
        raise OutputExistsError(f"{location!r} holds {strange[0]!r}, which is no Parquet file.")
    if names:
        reader = spark.read.options(**PARQUET_READER_OPTIONS)
        _check_columns(reader.parquet(f"{location}/{names[-1]}").schema, location, is_delta=False)


def _check_columns(found: StructType, location: str, *, is_delta: bool) -> None:
    """Check that a table takes the row: our columns have our types, others stay NULL.

    Raises:
        OutputExistsError: It is no table of metrics, or lacks a column.
    """
    types = {field.name: field.dataType.simpleString() for field in found}
    needed = COLUMNS if is_delta else _KEY_COLUMNS
    missing = [name for name in needed if name not in types]
    if set(missing) & set(_KEY_COLUMNS):
        raise OutputExistsError(
            f"{location!r} is no table of metrics: it has no column {missing[0]!r}. "
            "Choose another place."
        )
    if missing:
        columns = ", ".join(f"{name} {COLUMNS[name][0].simpleString()}" for name in missing)
        raise OutputExistsError(
            f"table {location!r} lacks columns: ALTER TABLE {sql_name(location)} "
            f"ADD COLUMNS ({columns})"
        )
    for name, (kind, _) in COLUMNS.items():
        if types.get(name, kind.simpleString()) != kind.simpleString():
            raise OutputExistsError(
                f"column {name!r} of {location!r} is {types[name]}, and must be "
                f"{kind.simpleString()}. Choose another place."
            )
