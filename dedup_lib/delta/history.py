"""Read a Delta table's history: commits of this library's runs, and whether they were undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from dedup_lib.session.spark_session import one_row
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.history import Operation, as_note

# The session setting whose value becomes the note of a commit.
USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
# The message if the history lacks a commit that the run made.
LOST_COMMIT = (
    "another process may have overwritten it, if Delta's log store does not prevent that. "
    "Look at the history; then run again."
)
_COLUMNS = (
    "version",
    "timestamp",
    "operation",
    "operationParameters",
    "operationMetrics",
    "readVersion",
    "userMetadata",
)
_DELETION_VECTOR_METRICS = (
    "numDeletionVectorsAdded",
    "numDeletionVectorsUpdated",
    "numTargetDeletionVectorsAdded",
    "numTargetDeletionVectorsUpdated",
)


@dataclass(frozen=True)
class Commit:
    """A commit of a Delta table that a run of this library made.

    Attributes:
        version: The version that it made.
        read_version: The version that it read; None for the first commit of a table.
        operation: Delta's name of the operation: `DELETE`, `CLONE`, …
        note: The values that the run wrote into its `userMetadata`.
        metrics: Delta's own metrics of the operation, by name.
    """

    version: int
    read_version: int | None
    operation: str
    note: dict[str, Any]
    metrics: dict[str, str]

    @property
    def deleted_rows(self) -> int:
        """The number of deleted rows, from Delta's metrics of DELETE or MERGE."""
        return int(self.metrics.get("numDeletedRows", self.metrics.get("numTargetRowsDeleted", 0)))

    @property
    def written_bytes(self) -> int:
        """The number of written bytes, from Delta's metrics of a write."""
        return int(self.metrics.get("numOutputBytes", 0))

    @property
    def deletion_vectors(self) -> int:
        """The number of deletion vectors that it added or changed, from Delta's metrics."""
        return sum(int(self.metrics.get(name, 0)) for name in _DELETION_VECTOR_METRICS)


def commit_with(
    spark: SparkSession, location: str, key: str, value: str | None, *, newest: int | None = None
) -> Commit | None:
    """Find the newest commit of a Delta table whose note has a key with a value (None: any value).

    *Cost:* the files of the `newest` newest commits; by default, as far back as Delta keeps them.
    """
    for row in _history(spark, location, newest):
        note = as_note(row["userMetadata"] or "")
        if key in note if value is None else note.get(key) == value:
            return Commit(
                version=row["version"],
                read_version=row["readVersion"],
                operation=row["operation"],
                note=note,
                metrics=dict(row["operationMetrics"] or {}),
            )
    return None


def operations(spark: SparkSession, location: str) -> list[Operation]:
    """Return all commits of a Delta table, newest first.

    *Cost:* the files of the commits, as far back as Delta keeps them.
    """
    return [
        Operation(row["version"], row["operation"], as_note(row["userMetadata"] or ""))
        for row in _history(spark, location, None)
    ]


def read_version(spark: SparkSession, location: str, version: int) -> DataFrame:
    """Read a version of a Delta table, lazily: its columns, one row per row."""
    return spark.sql(f"SELECT * FROM {sql_name(location)} VERSION AS OF {version}")


def count_rows_at(spark: SparkSession, location: str, version: int) -> int:
    """Count the rows of a version of a Delta table; from its log if the log has statistics."""
    table = f"{sql_name(location)} VERSION AS OF {version}"
    return int(spark.sql(f"SELECT count(*) AS num_rows FROM {table}").collect()[0]["num_rows"])


def was_undone(spark: SparkSession, location: str, version: int) -> bool:
    """Tell whether a version of a Delta table was undone: the newest state does not contain it.

    That is so if the table was restored to an earlier version, and was not restored back since.
    """
    history = {row["version"]: row for row in _history(spark, location, None)}
    state: int = max(history)
    while state > version:
        row = history[state]
        state = _restored(spark, history, row) if row["operation"] == "RESTORE" else state - 1
    return state < version


def _restored(spark: SparkSession, history: dict[int, Row], restore: Row) -> int:
    """Return the version that a RESTORE restored."""
    to_version = restore["operationParameters"]["version"]
    if to_version is not None:
        return int(to_version)
    text = restore["operationParameters"]["timestamp"]  # in the session's time zone
    instant = one_row(spark).select(F.lit(text).cast("timestamp_ltz")).collect()[0][0]
    before = [row["version"] for row in history.values() if row["timestamp"] <= instant]
    return max(before, default=-1)


def _history(spark: SparkSession, location: str, newest: int | None) -> list[Row]:
    """Return the newest commits or, for None, all commits; newest first."""
    limit = "" if newest is None else f" LIMIT {newest}"
    history = spark.sql(f"DESCRIBE HISTORY {sql_name(location)}{limit}").select(*_COLUMNS)
    return sorted(history.collect(), key=lambda row: -row["version"])
