"""Stage, audit and publish a table: readers see the old one or the new one, never a part."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from dedup_lib.delta.delete import first_line, is_conflict
from dedup_lib.delta.detail import is_delta_path, table_exists
from dedup_lib.delta.history import (
    LOST_COMMIT,
    USER_METADATA,
    commit_with,
    count_rows_at,
    note_text,
)
from dedup_lib.delta.output_state import transaction_of
from dedup_lib.errors import (
    ConflictError,
    InputError,
    OutputExistsError,
    StorageError,
    VerificationError,
)
from dedup_lib.locations import is_path
from dedup_lib.parquet.directory import PARQUET_READER_OPTIONS, data_files
from dedup_lib.plan.id_scan import SCAN_SETTINGS
from dedup_lib.publish.attempts import Attempt, hand_over
from dedup_lib.publish.locks import publishing_lock
from dedup_lib.publish.manifest import write_manifest
from dedup_lib.publish.marker import mark
from dedup_lib.publish.swap import repair_locked, replace
from dedup_lib.publish.targets import Target, check_replaceable, output_exists
from dedup_lib.session.conf import session_settings, tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS, exists_already, holds_files_already
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import sql_name
from dedup_lib.session.storage import Storage

# Delta takes column names with these characters only with column mapping.
_NEEDS_MAPPING = re.compile(r"[ ,;{}()\n\t=]")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Staged:
    """A table that was written, and is to be verified and published.

    Attributes:
        target: What it is for.
        location: Where it is: staged, or already at the target's place (Delta's own commit).
        version: The Delta version that holds it; None for Parquet.
        deletion_vectors: Of a clone: how many of them hide rows.
    """

    target: Target
    location: str
    version: int | None
    deletion_vectors: int | None = None


def stage(
    target: Target,
    writer: DataFrameWriter,
    attempt: Attempt,
    *,
    session: Session,
    column_names: Sequence[str],
    note: dict[str, Any],
) -> Staged:
    """Write a table where no reader sees it, or, for Delta in place, in one commit.

    Args:
        target: What is to be written.
        writer: The rows, with their partitioning and options.
        attempt: Where to stage.
        session: The session, with its file systems.
        column_names: Of the rows: some need Delta's column mapping.
        note: What the Delta commit shall say of itself (`userMetadata`).

    Returns:
        What was written, yet to be verified.
    """
    if target.format == "parquet":
        writer = writer.options(**session.storage.committer_options(attempt.staged))
        writer.mode(_parquet_mode(target)).parquet(attempt.staged)
        return Staged(target, attempt.staged, None)
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
            # A table that is created by a write ignores the writer's option of this name.
            settings = {f"spark.databricks.delta.write.{key}": numbered[key] for key in numbered}
            with session_settings(session.spark, {USER_METADATA: text, **settings}):
                delta.saveAsTable(sql_name(target.location))
    except SPARK_ERRORS as error:
        raise _as_conflict(target, error) from error
    version = _version_of(session.spark, target.location, note["run"], is_numbered=bool(numbered))
    return Staged(target, target.location, version)


def _parquet_mode(target: Target) -> str:
    # In its own place a manifest is there already, and nothing else.
    return "append" if target.publishing == "marker" else "error"


def stage_empty_parquet(
    session: Session, target: Target, schema: StructType, attempt: Attempt
) -> Staged:
    """Stage a Parquet table without a row: one file that carries the schema.

    A partitioned write of no rows would leave a directory that can't be read.
    """
    writer = session.spark.createDataFrame([], schema).coalesce(1).write.mode(_parquet_mode(target))
    options = {"mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}
    options |= session.storage.committer_options(attempt.staged)
    writer.options(**options).parquet(attempt.staged)
    return Staged(target, attempt.staged, None)


def count_rows(session: Session, staged: Staged) -> int:
    """Count the rows of what was written, from its files' footers or from the Delta log.

    Raises:
        VerificationError: A file is broken.

    *Cost:* one footer a file, read by executors.
    """
    if staged.target.format == "delta":
        return count_rows_at(session.spark, staged.location, staged.version or 0)
    try:
        data_files(session.storage, staged.location, what="staged output")
        with tuning_settings(session.spark, SCAN_SETTINGS):
            reader = session.spark.read.schema(StructType()).options(**PARQUET_READER_OPTIONS)
            return reader.parquet(staged.location).count()
    except (InputError, *SPARK_ERRORS) as error:
        raise VerificationError(f"the staged output is broken: {error}") from error


def count_marked(spark: SparkSession, staged: Staged, column: str) -> int:
    """Count the rows whose boolean column is true.

    *Cost:* one scan of that column.
    """
    if staged.target.format == "delta":
        name = sql_name(staged.location)
        frame = spark.sql(f"SELECT * FROM {name} VERSION AS OF {staged.version or 0}")
    else:
        fields = StructType([StructField(column, BooleanType())])
        reader = spark.read.schema(fields).options(**PARQUET_READER_OPTIONS)
        frame = reader.parquet(staged.location)
    with tuning_settings(spark, SCAN_SETTINGS):
        return frame.where(F.col(column)).count()


def written_bytes(session: Session, staged: Staged) -> int:
    """Return the size of the data files of what was written."""
    if staged.target.format == "delta":
        frame = session.spark.sql(f"DESCRIBE DETAIL {sql_name(staged.location)}")
        return int(frame.select("sizeInBytes").collect()[0][0])
    return sum(file.size_bytes for file in session.storage.list_files(staged.location))


def check_rows(
    staged: Staged, *, expected_rows: int, found_rows: int, what: str = "comes to"
) -> None:
    """Compare what was written with the plan.

    Raises:
        VerificationError: Nothing is published then; where Delta has committed already, the
            message names the commit, and the command that undoes it.
    """
    if expected_rows == found_rows:
        return
    message = (
        f"the plan {what} {expected_rows} rows, but {found_rows} were written to "
        f"{staged.location!r}"
    )
    if staged.version is None or staged.location != staged.target.location:
        raise VerificationError(f"{message}. Nothing was published.")
    if staged.version == 0:
        undo = f"DROP TABLE {sql_name(staged.location)}"
    else:
        before = (staged.version or 0) - 1
        undo = f"RESTORE TABLE {sql_name(staged.location)} TO VERSION AS OF {before}"
    raise VerificationError(f"{message}, in version {staged.version}. To undo it: {undo}")


def describe(staged: Staged) -> dict[str, Any]:
    """Return what a report says of an output that is about to be published."""
    described: dict[str, Any] = {
        "location": staged.target.location,
        "format": staged.target.format,
        "version": staged.version,
    }
    if staged.deletion_vectors is not None:
        described["deletion_vectors"] = staged.deletion_vectors
        if not staged.target.is_renamed:
            described |= {"version": 0, "companion": staged.location}
    return described


def promote(
    session: Session,
    staged: Staged,
    attempt: Attempt,
    note: dict[str, Any],
) -> None:
    """Put a verified table in its place, in one step (two for a replaced directory).

    Where that is its place already, mark it as complete.

    Args:
        session: The session, with its file systems.
        staged: What was written.
        attempt: The run's try at it.
        note: For the manifest of Parquet, or the commit of Delta.

    Raises:
        ConflictError: Another run is publishing, or has published, to the same place.
    """
    target = staged.target
    if target.publishing == "marker":
        mark(session.storage, target.location, note, attempt.attempt_id)
        return
    if staged.location == target.location:
        return  # Delta's commit was the step
    if not target.is_renamed:
        _publish_clone(session, staged, note)
        return
    if target.format == "parquet":
        write_manifest(session.storage, staged.location, note)
        session.storage.write_text(f"{staged.location}/_SUCCESS", "")
    with publishing_lock(session.storage, target.location, attempt.attempt_id):
        repair_locked(session.storage, target.location)
        if not session.storage.exists(target.location):
            session.storage.rename(staged.location, target.location)
        elif target.mode == "error":
            raise ConflictError(f"{target.location!r} was made by another writer meanwhile.")
        else:
            check_replaceable(session.storage, target.location, target.format)
            replace(session.storage, staged.location, target.location, attempt)


def _publish_clone(session: Session, staged: Staged, note: dict[str, Any]) -> None:
    """Make the output a clone of the staged clone: one commit, which never had duplicates."""
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
        return output_exists(target)
    if holds_files_already(error):
        return OutputExistsError(
            f"table {target.location!r} is not in the catalog, but its directory holds files: "
            "another run is making it, or one that was killed left them. Delete the directory "
            f"once no run is at work: {error}"
        )
    if is_conflict(error):  # which pyspark does not always turn into an exception of its own
        return ConflictError(
            f"another writer changed {target.location!r} meanwhile, so Delta refused the commit. "
            f"Run again: {first_line(error)}"
        )
    return error


def _version_of(spark: SparkSession, location: str, run: str, *, is_numbered: bool) -> int:
    commit = commit_with(spark, location, "run", run, newest=1000)
    if commit is None and is_numbered:  # so Delta has skipped it
        raise ConflictError(f"another run changed {location!r} meanwhile: run again.")
    if commit is None:
        raise VerificationError(
            f"the commit that was made on {location!r} is not in its history: {LOST_COMMIT}"
        )
    return commit.version
