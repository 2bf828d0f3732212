"""What the metrics table holds of a run: its columns, and the row that a report comes to."""

from __future__ import annotations

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

from dedup_lib.report import COUNTS, PHASES

_TEXT, _COUNT, _SECONDS = StringType(), LongType(), DoubleType()
_TIME, _FLAG = TimestampType(), BooleanType()

# Column: type and meaning. NULL is what is not known, or was not reached.
COLUMNS: Mapping[str, tuple[DataType, str]] = {
    "run": (_TEXT, "the run's own random name; in the output's manifest or Delta commit, too"),
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


def row_of(report: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
    """Turn a report into the row of the metrics table.

    Args:
        report: As `Report.as_dict` returns it, that is without secrets.
        dry_run: Whether the run was to write no image.

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
