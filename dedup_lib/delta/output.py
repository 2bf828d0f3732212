"""Write an output as a Delta table, and publish it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.delta.detail import delta_root, is_delta_path, table_exists
from dedup_lib.delta.errors import is_conflict
from dedup_lib.delta.history import LOST_COMMIT, USER_METADATA, commit_with
from dedup_lib.delta.transactions import transaction_of
from dedup_lib.errors import (
    ConflictError,
    DedupError,
    OutputExistsError,
    StorageError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.locations import is_path
from dedup_lib.publish.attempts import hand_over
from dedup_lib.publish.promote import rename_into_place
from dedup_lib.session.conf import session_settings
from dedup_lib.session.failures import (
    SPARK_ERRORS,
    exists_already,
    first_line,
    holds_files_already,
)
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import quoted, sql_name, sql_text
from dedup_lib.session.storage import Storage
from dedup_lib.tables.history import UNFINISHED, note_text
from dedup_lib.tables.target import Attempt, Staged, Target

# Delta accepts column names with these characters only with column mapping.
_NEEDS_MAPPING = re.compile(r"[ ,;{}()\n\t=]")
_TRIES = 4
_log = logging.getLogger(__name__)


def stage(
    session: Session,
    target: Target,
    writer: DataFrameWriter,
    attempt: Attempt,
    *,
    column_names: Sequence[str],
    note: Mapping[str, Any],
) -> Staged:
    """Write a table beside its location, or in one commit there.

    Args:
        session: The session, with its file systems.
        target: The table to write.
        writer: The rows, with their partitioning and options.
        attempt: The run's attempt, which says where to stage.
        column_names: The names of the columns; some need Delta's column mapping.
        note: The note for the commit.

    Raises:
        ConflictError: Another writer committed in the meantime.
        OutputExistsError: Another writer made the table in the meantime.
    """
    text = note_text(note)
    numbered = transaction_of(note)
    delta = writer.format("delta").options(userMetadata=text, **numbered)
    if not target.exists and any(_NEEDS_MAPPING.search(name) for name in column_names):
        delta = delta.option("delta.columnMapping.mode", "name")
    if target.is_renamed:
        delta.mode("error").save(attempt.staged)
        return Staged(target, attempt.staged, 0)
    if target.mode == "overwrite":
        delta = delta.option("overwriteSchema", "true")
    delta = delta.mode(target.mode)
    try:
        if is_path(target.location):
            delta.save(target.location)
        else:
            # If a write creates the table, Delta ignores the writer's option of this name.
            settings = {f"spark.databricks.delta.write.{key}": numbered[key] for key in numbered}
            with session_settings(session.spark, {USER_METADATA: text, **settings}):
                delta.saveAsTable(sql_name(target.location))
    except SPARK_ERRORS as error:
        raise _as_conflict(target, error) from error
    version = _version_of(session.spark, target.location, note["run"], is_numbered=bool(numbered))
    return Staged(target, target.location, version)


def append_row(
    session: Session, location: str, row: DataFrame, check: Callable[[StructType, bool], None]
) -> None:
    """Append a row to a table in one commit; the table may be made by that.

    Args:
        session: The session.
        location: A canonical path, or a catalog name.
        row: The row.
        check: Checks the schema of a table that exists.
    """
    if is_path(location):
        check(session.spark.read.format("delta").load(location).schema, True)
        row.write.format("delta").mode("append").save(location)
        return
    for attempt in range(1, _TRIES + 1):
        if table_exists(session.spark, location):
            delta_root(session, location)  # raises if it is not a Delta table
            check(session.spark.table(sql_name(location)).schema, True)
        try:
            row.write.format("delta").mode("append").saveAsTable(sql_name(location))
        except SPARK_ERRORS as error:
            is_made = exists_already(error) or holds_files_already(error)
            if attempt == _TRIES or not (is_made or is_conflict(error)):
                raise
            time.sleep(attempt)
        else:
            return


def note_of_record(session: Session, name: str) -> Mapping[str, Any]:
    """Return the note of a table's newest commit, if it is an unfinished record's; otherwise {}."""
    if not table_exists(session.spark, name):
        return {}
    delta_root(session, name)  # raises if it is not a Delta table
    commit = commit_with(session.spark, name, UNFINISHED, None, newest=1)
    return {} if commit is None else commit.note


def finish_record(spark: SparkSession, name: str, run: str) -> None:
    """Commit to a record after its run has published: the newest commit is not unfinished then."""
    table, spelled = sql_name(name), f"'dedup.finished' = {sql_text(run)}"
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({spelled})").collect()


def why_no_files(target: Target | None) -> DedupError | None:
    """Return why a Delta table can't be made of files that executors write, or None."""
    if target is None or target.is_renamed:
        return None
    return UnsupportedError(
        f"output {target.location!r}: only a new directory on a local disk or HDFS, in a classic "
        "session, can become a Delta table of files that executors write. Write Parquet "
        "(--output-format parquet), and then run CONVERT TO DELTA on it."
    )


def adopt_files(session: Session, staged: Staged, note: Mapping[str, Any]) -> Staged:
    """Make a Delta table of the Parquet files in a staged directory, in one commit.

    *Cost:* the footers of the files.
    """
    with session_settings(session.spark, {USER_METADATA: note_text(note)}):
        session.spark.sql(f"CONVERT TO DELTA parquet.{quoted(staged.location)} NO STATISTICS")
    return replace(staged, version=0)


def promote(session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]) -> None:
    """Publish a staged table by a rename, or by a commit that makes the output its clone."""
    if staged.is_in_place:
        return  # Delta's commit was the step
    if staged.target.is_renamed:
        rename_into_place(session, staged, attempt)
    else:
        _publish_clone(session, staged, note)


def _publish_clone(session: Session, staged: Staged, note: Mapping[str, Any]) -> None:
    """Make the output a clone of the staged clone, in one commit that shows no duplicates."""
    directory = staged.location.rpartition("/")[0]
    hand_over(session.storage, directory)
    name = sql_name(staged.target.location)
    try:
        with session_settings(session.spark, {USER_METADATA: note_text(note)}):
            session.spark.sql(f"CREATE TABLE {name} SHALLOW CLONE {sql_name(staged.location)}")
    except SPARK_ERRORS as error:
        if not _is_there(session, staged.target.location):
            _delete_companion(session.storage, directory)
        raise _as_conflict(staged.target, error) from error


def _delete_companion(storage: Storage, directory: str) -> None:
    try:
        storage.delete(directory)
    except StorageError as error:
        _log.warning("the clone that was not published stays behind: %s", error)


def _is_there(session: Session, location: str) -> bool:
    return (
        is_delta_path(session.storage, location)
        if is_path(location)
        else table_exists(session.spark, location)
    )


def _as_conflict(target: Target, error: Exception) -> Exception:
    if exists_already(error):
        return target.exists_error()
    if holds_files_already(error):
        return OutputExistsError(
            f"table {target.location!r} is not in the catalog, but its directory holds files: "
            "another run is making it, or a killed run left them. Delete the directory "
            f"when no run is using it: {error}"
        )
    if is_conflict(error):  # pyspark does not always have a special exception for it
        return ConflictError(
            f"another writer changed {target.location!r} in the meantime, so Delta refused the "
            f"commit. Run again: {first_line(error)}"
        )
    return error


def _version_of(spark: SparkSession, location: str, run: str, *, is_numbered: bool) -> int:
    commit = commit_with(spark, location, "run", run, newest=1000)
    if commit is None and is_numbered:  # Delta has skipped the commit
        raise ConflictError(f"another run changed {location!r} in the meantime: run again.")
    if commit is None:
        raise VerificationError(
            f"the history of {location!r} lacks the commit that was made: {LOST_COMMIT}"
        )
    return commit.version
