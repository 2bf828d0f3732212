"""Append the report's numbers, one row per run, to a table that a dashboard can read."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pyspark.sql.types import (
    BooleanType,
    DataType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from dedup_lib.errors import OutputExistsError
from dedup_lib.locations import is_path
from dedup_lib.publish.overlap import check_metrics
from dedup_lib.report import COUNTS, PHASES, Report
from dedup_lib.session.conf import one_run, run_settings, tuning_settings
from dedup_lib.session.failures import first_line, translate_spark_errors
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import sql_name
from dedup_lib.settings import Settings
from dedup_lib.tables.foreign import check_written
from dedup_lib.tables.registry import format_of

_TEXT, _COUNT, _SECONDS = StringType(), LongType(), DoubleType()
_TIME, _FLAG = TimestampType(), BooleanType()

# Column: type and meaning. A value is NULL if it is unknown, or if the run ended before.
COLUMNS: Mapping[str, tuple[DataType, str]] = {
    "run": (_TEXT, "the run's own random name; also in the output's manifest or Delta commit"),
    "started_at": (_TIME, "when the process began with it, UTC"),
    "finished_at": (_TIME, "when it ended, UTC"),
    "status": (_TEXT, "succeeded, dry_run or failed"),
    "dry_run": (_FLAG, "whether --dry-run was given: a dry run that fails is failed"),
    "repeated": (_FLAG, "whether a run with the same run key had done it already"),
    "method": (_TEXT, "rewrite, clone or in-place"),
    "engine": (_TEXT, "arrow or spark; NULL where no image is moved"),
    "strategy": (_TEXT, "of engine spark: broadcast-ids or row-positions"),
    "action": (_TEXT, "remove, annotate or extract"),
    "error_class": (_TEXT, "of what failed, such as NoMatchesError"),
    "error_message": (_TEXT, "its text, without secrets"),
    **{name: (_COUNT, "rows" if "rows" in name else "IDs") for name in COUNTS},
    "input_bytes": (_COUNT, "bytes of the image table's data files"),
    "output_bytes": (_COUNT, "bytes of new data files"),
    **{f"{name}_seconds": (_SECONDS, f"seconds of phase {name}") for name in PHASES},
    "total_seconds": (_SECONDS, "seconds from start to end"),
    "images": (_TEXT, "the image table's location, without secrets"),
    "output": (_TEXT, "the output's location, without secrets"),
    "output_version": (_COUNT, "the Delta version that was made"),
    "run_key": (_TEXT, "as given by --run-key"),
    "dedup_lib_version": (_TEXT, "of this library"),
    "pyspark_version": (_TEXT, "of the driver's pyspark"),
}
SCHEMA = StructType(
    [StructField(name, kind, True, {"comment": text}) for name, (kind, text) in COLUMNS.items()]
)
# Every metrics table has these columns, and so can be recognised.
_KEY_COLUMNS = ("run", "started_at", "status")
_WRITER_SETTINGS = {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
_log = logging.getLogger(__name__)


def append(session: Session, settings: Settings, report: Report) -> None:
    """Append a run's row to the metrics table, if the settings name one.

    A failure here does not change the result of the run. It is only logged as an error.

    Args:
        session: The session, with its file systems. No run may use it at the same time.
        settings: The run's settings.
        report: The report of the run, which has ended.

    *Cost:* one small file, or one Delta commit.
    """
    location = settings.metrics_output
    if location is None or report.run is None:
        return
    try:
        with (
            one_run(session.spark),
            tuning_settings(session.spark, run_settings(session.spark.version)),
            translate_spark_errors(),
        ):
            check_metrics(session, settings)
            with tuning_settings(session.spark, _WRITER_SETTINGS):
                _append(session, location, settings, report)
    except Exception as error:  # any failure: the run has ended, and its result stays
        reason = first_line(error).lstrip(": ") if str(error).strip() else type(error).__name__
        _log.error("no row was appended to --metrics-output: %s", report.hide(reason))


def _append(session: Session, location: str, settings: Settings, report: Report) -> None:
    values = row_of(report.as_dict(), dry_run=settings.dry_run)
    row = session.spark.createDataFrame([tuple(values[name] for name in COLUMNS)], SCHEMA)
    target = location
    if is_path(location):
        target = session.storage.canonical(location)
        check_written(session.storage, target, "metrics output")
    format_of(session, target).append_row(
        session,
        target,
        row,
        name=f"run-{values['started_at']:%Y%m%dT%H%M%SZ}-{report.run}",
        check=functools.partial(_check_columns, location),
    )


def _check_columns(location: str, found: StructType, needs_all: bool) -> None:
    """Check that a table accepts the row: our columns have our types. Other columns become NULL.

    Raises:
        OutputExistsError: It is not a metrics table, or a column is missing or of another type.
    """
    types = {field.name: field.dataType.simpleString() for field in found}
    needed = COLUMNS if needs_all else _KEY_COLUMNS
    missing = [name for name in needed if name not in types]
    if set(missing) & set(_KEY_COLUMNS):
        raise OutputExistsError(
            f"{location!r} is not a metrics table: it has no column {missing[0]!r}. "
            "Choose another location."
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
                f"column {name!r} of {location!r} is {types[name]}, but must be "
                f"{kind.simpleString()}. Choose another location."
            )


def row_of(report: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
    """Turn a report into the row of the metrics table.

    Args:
        report: The result of `Report.as_dict`, which has no secrets.
        dry_run: Whether --dry-run was given.

    Returns:
        A value for each of `COLUMNS`.
    """
    error, output = report["error"] or {}, report["output"] or {}
    seconds = {f"{name}_seconds": report["seconds"].get(name) for name in PHASES}
    same = ("run", "status", "repeated", "method", "engine", "strategy", "action", "run_key")
    return {
        **{name: report[name] for name in same},
        **{name: datetime.fromisoformat(report[name]) for name in ("started_at", "finished_at")},
        **{name: report["counts"].get(name) for name in COUNTS},
        **seconds,
        "dry_run": dry_run,
        "error_class": error.get("class"),
        "error_message": error.get("message"),
        "input_bytes": report["bytes"]["input"],
        "output_bytes": report["bytes"]["output"],
        "total_seconds": report["total_seconds"],
        "images": report["inputs"]["images"]["location"],
        "output": output.get("location"),
        "output_version": output.get("version"),
        "dedup_lib_version": report["versions"]["dedup_lib"],
        "pyspark_version": report["versions"]["pyspark"],
    }
