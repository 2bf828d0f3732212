"""Stage, audit and publish a table: readers see the old one or the new one, never a part."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrameWriter, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.delta_tables import delta_root, is_delta_path, new_table_root, table_exists
from dedup_lib.errors import (
    ConflictError,
    InputError,
    OutputExistsError,
    SettingsError,
    StorageError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.parquet_files import MANIFEST_NAME, data_files, partition_columns_of
from dedup_lib.publish_lock import Attempt, publishing_lock, sibling
from dedup_lib.session_settings import session_settings
from dedup_lib.settings import OutputMode, TableFormat, is_path
from dedup_lib.sql_names import sql_name
from dedup_lib.storage import ATOMIC_RENAME_SCHEMES, Storage
from dedup_lib.uris import scheme_of

# Delta takes column names with these characters only with column mapping.
_NEEDS_MAPPING = re.compile(r"[ ,;{}()\n\t=]")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """A table that is to be written.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: `parquet` or `delta`.
        mode: `error` or `overwrite`.
        root: The canonical URI of its directory; None for a table that is yet to be made.
        exists: Whether there is a table to be replaced.
    """

    location: str
    format: TableFormat
    mode: OutputMode
    root: str | None
    exists: bool

    @property
    def is_renamed(self) -> bool:
        """Whether it is staged beside its place and renamed; else Delta commits it in place."""
        if not is_path(self.location):
            return False
        atomic = scheme_of(self.location) in ATOMIC_RENAME_SCHEMES
        return self.format == "parquet" or (atomic and not self.exists)


@dataclass(frozen=True)
class Staged:
    """A table that was written, and is to be verified and published.

    Attributes:
        target: What it is for.
        location: Where it is: staged, or already at the target's place (Delta's own commit).
        version: The Delta version that holds it; None for Parquet.
    """

    target: Target
    location: str
    version: int | None


def find_target(
    spark: SparkSession,
    storage: Storage,
    location: str,
    output_format: TableFormat,
    mode: OutputMode,
) -> Target:
    """Look at the place that is to be written, and refuse what may not be replaced.

    Args:
        spark: A classic Spark session.
        storage: The session's file systems.
        location: A path, a URI, or a catalog table name.
        output_format: The format to write.
        mode: What to do where something is there.

    Raises:
        OutputExistsError: There is something, and it may not be replaced.
        UnsupportedError: Parquet on a store where a rename is no single step.
    """
    if not is_path(location):
        exists = table_exists(spark, location)
        root = delta_root(spark, storage, location) if exists else None
        if exists and mode == "error":
            raise _exists(location)
        return Target(location, "delta", mode, root, exists)
    canonical = storage.canonical(location)
    if not canonical.rpartition("/")[2] or canonical.count("/") < 1:
        raise SettingsError(f"output {location!r} is the root of a file system.")
    if output_format == "parquet" and scheme_of(canonical) not in ATOMIC_RENAME_SCHEMES:
        raise UnsupportedError(
            f"output {canonical!r}: a Parquet directory can't be published in one step on "
            f"{scheme_of(canonical)}. Use --output-format delta."
        )
    exists = storage.exists(canonical)
    if exists and mode == "error":
        raise _exists(canonical)
    if exists:
        _check_replaceable(storage, canonical, output_format)
    return Target(canonical, output_format, mode, canonical, exists)


def stage(
    target: Target,
    writer: DataFrameWriter,
    attempt: Attempt,
    *,
    spark: SparkSession,
    column_names: Sequence[str],
    note: dict[str, Any],
) -> Staged:
    """Write a table where no reader sees it, or, for Delta in place, in one commit.

    Args:
        target: What is to be written.
        writer: The rows, with their partitioning and options.
        attempt: Where to stage.
        spark: The session.
        column_names: Of the rows: some need Delta's column mapping.
        note: What the Delta commit shall say of itself (`userMetadata`).

    Returns:
        What was written, yet to be verified.
    """
    if target.format == "parquet":
        writer.mode("errorifexists").parquet(attempt.staged)
        return Staged(target, attempt.staged, None)
    text = json.dumps(note)
    delta = writer.format("delta").option("userMetadata", text)
    if not target.exists and any(_NEEDS_MAPPING.search(name) for name in column_names):
        delta = delta.option("delta.columnMapping.mode", "name")
    if target.is_renamed:
        delta.mode("errorifexists").save(attempt.staged)
        return Staged(target, attempt.staged, 0)
    if target.mode == "overwrite":
        delta = delta.option("overwriteSchema", "true")
    delta = delta.mode(target.mode)
    try:
        if is_path(target.location):
            delta.save(target.location)
        else:
            # A table that is created by a write ignores the writer's option of this name.
            with session_settings(spark, {"spark.databricks.delta.commitInfo.userMetadata": text}):
                delta.saveAsTable(sql_name(target.location))
    except PySparkException as error:
        raise _as_conflict(target, error) from error
    return Staged(target, target.location, _version_of(spark, target.location, text))


def stage_empty_parquet(
    spark: SparkSession, target: Target, schema: StructType, attempt: Attempt
) -> Staged:
    """Stage a Parquet table without a row: one file that carries the schema.

    A partitioned write of no rows would leave a directory that can't be read.
    """
    spark.createDataFrame([], schema).coalesce(1).write.option(
        "mapreduce.fileoutputcommitter.marksuccessfuljobs", "false"
    ).parquet(attempt.staged)
    return Staged(target, attempt.staged, None)


def count_rows(spark: SparkSession, storage: Storage, staged: Staged) -> int:
    """Count the rows of what was written, from its files' footers or from the Delta log.

    Raises:
        VerificationError: A file is broken.
    """
    if staged.target.format == "delta":
        table = f"{sql_name(staged.location)} VERSION AS OF {staged.version}"
        return int(spark.sql(f"SELECT count(*) AS num_rows FROM {table}").collect()[0]["num_rows"])
    try:
        files = data_files(storage, staged.location, what="staged output")
        return sum(num_rows for _, num_rows in storage.parquet_num_rows(files))
    except (InputError, StorageError) as error:
        raise VerificationError(f"the staged output is broken: {error}") from error


def written_bytes(spark: SparkSession, storage: Storage, staged: Staged) -> int:
    """Return the size of the data files of what was written."""
    if staged.target.format == "delta":
        frame = spark.sql(f"DESCRIBE DETAIL {sql_name(staged.location)}")
        return int(frame.select("sizeInBytes").collect()[0][0])
    return sum(
        file.size_bytes
        for file in storage.list_files(staged.location)
        if not file.path.endswith(".crc")
    )


def check_rows(staged: Staged, *, expected_rows: int, found_rows: int) -> None:
    """Compare what was written with the plan.

    Raises:
        VerificationError: Nothing is published then; where Delta has committed already, the
            message names the commit, and the command that undoes it.
    """
    if expected_rows == found_rows:
        return
    message = (
        f"the plan keeps {expected_rows} rows, but {found_rows} were written to {staged.location!r}"
    )
    if staged.location != staged.target.location:
        raise VerificationError(f"{message}. Nothing was published.")
    if staged.version == 0:
        undo = f"DROP TABLE {sql_name(staged.location)}"
    else:
        before = (staged.version or 0) - 1
        undo = f"RESTORE TABLE {sql_name(staged.location)} TO VERSION AS OF {before}"
    raise VerificationError(f"{message}, in version {staged.version}. To undo it: {undo}")


def promote(storage: Storage, staged: Staged, attempt: Attempt, manifest: dict[str, Any]) -> None:
    """Put a verified table in its place, in one step (two for a replaced directory).

    Raises:
        ConflictError: Another run is publishing, or has published, to the same place.
    """
    target = staged.target
    if staged.location == target.location:
        return  # Delta's commit was the step
    if target.format == "parquet":
        _write_manifest(storage, staged.location, manifest)
        storage.write_text(f"{staged.location}/_SUCCESS", "")
    with publishing_lock(storage, target.location, attempt.attempt_id):
        _repair_locked(storage, target.location)
        if not storage.exists(target.location):
            storage.rename(staged.location, target.location)
        elif target.mode == "error":
            raise ConflictError(f"{target.location!r} was made by another writer meanwhile.")
        else:
            _check_replaceable(storage, target.location, target.format)
            _replace(storage, staged.location, target.location, attempt)


def repair(storage: Storage, location: str, attempt_id: str) -> None:
    """Put back the old output where a run died between the two renames that replace it."""
    if not is_path(location):
        return
    canonical = storage.canonical(location)
    if _journal(storage, canonical) is not None:
        with publishing_lock(storage, canonical, attempt_id):
            _repair_locked(storage, canonical)


def default_base(spark: SparkSession, storage: Storage, target: Target) -> str:
    """Return the canonical location beside which a target's attempts work.

    For a path it is the path; for a table that is, its directory; for one that is yet to be
    made, a name in the directory of its catalog schema.
    """
    if target.root is not None:
        return target.root
    return new_table_root(spark, storage, target.location)


def is_unfinished(storage: Storage, location: str) -> bool:
    """Tell whether a kept plan was left by a run that died before it published its output."""
    if not is_path(location):
        return False
    return bool(_manifest(storage, storage.canonical(location)).get("unfinished", False))


def finish(storage: Storage, kept_plan: Target | None) -> None:
    """Note in a kept plan's manifest that its run has published its output."""
    if kept_plan is None or kept_plan.format != "parquet":
        return
    manifest = _manifest(storage, kept_plan.location)
    manifest.pop("unfinished", None)
    _write_manifest(storage, kept_plan.location, manifest)


def _manifest(storage: Storage, location: str) -> dict[str, Any]:
    path = f"{location}/{MANIFEST_NAME}"
    if not storage.exists(path):
        return {}
    try:
        values = json.loads(storage.read_text(path))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _write_manifest(storage: Storage, location: str, manifest: dict[str, Any]) -> None:
    storage.write_text(f"{location}/{MANIFEST_NAME}", json.dumps(manifest, indent=2))


def _repair_locked(storage: Storage, location: str) -> None:
    old = _journal(storage, location)
    if old is None:
        return
    if storage.exists(location):
        storage.delete(old)
    elif storage.exists(old):
        _log.warning("putting back %r, which a run that died had moved away", location)
        storage.rename(old, location)
    storage.delete(sibling(location, "journal"))


def _replace(storage: Storage, staged: str, location: str, attempt: Attempt) -> None:
    old = sibling(location, f"old-{attempt.attempt_id}")
    journal = sibling(location, "journal")
    storage.write_text(journal, json.dumps({"old": old}))
    try:
        storage.rename(location, old)
        storage.rename(staged, location)
    except BaseException:
        _repair_locked(storage, location)
        raise
    storage.delete(old)
    storage.delete(journal)


def _journal(storage: Storage, location: str) -> str | None:
    journal = sibling(location, "journal")
    if not storage.exists(journal):
        return None
    try:
        return str(json.loads(storage.read_text(journal))["old"])
    except ValueError:
        return sibling(location, "old-none")  # died while writing it: nothing was moved yet


def _check_replaceable(storage: Storage, location: str, output_format: TableFormat) -> None:
    delta = is_delta_path(storage, location)
    if output_format == "delta":
        if not delta:
            raise OutputExistsError(
                f"output {location!r} exists and is no Delta table: it is not replaced. "
                "Choose another place, or move it away."
            )
        return
    if delta:
        raise OutputExistsError(
            f"output {location!r} is a Delta table: replacing it by Parquet would destroy its "
            "log. Use --output-format delta, or choose another place."
        )
    if not storage.is_directory(location):
        raise OutputExistsError(f"output {location!r} is a file, not a table: it is not replaced.")
    if not storage.list_files(location):
        return
    try:
        files = data_files(storage, location, what="output")
        partition_columns_of(location, files, what="output")
        doubtful = [file for file in files if not file.path.endswith(".parquet")]
        for _ in storage.parquet_schemas([files[0], *doubtful]):
            pass
    except (InputError, StorageError) as error:
        raise OutputExistsError(
            f"output {location!r} holds what is no Parquet table, so it is not replaced: {error}"
        ) from error


def _exists(location: str) -> OutputExistsError:
    return OutputExistsError(
        f"output {location!r} exists. Use --output-mode overwrite to replace it, or choose "
        "another place."
    )


def _as_conflict(target: Target, error: PySparkException) -> Exception:
    condition = error.getCondition() or ""
    if "ALREADY_EXISTS" in condition or "PATH_EXISTS" in condition:
        return _exists(target.location)
    if "NON_EMPTY_LOCATION" in condition:
        return OutputExistsError(
            f"table {target.location!r} is not in the catalog, but its directory holds files: "
            "another run is making it, or one that was killed left them. Delete the directory "
            f"once no run is at work: {error}"
        )
    if "CONCURRENT" in condition or "Concurrent" in type(error).__name__:
        return ConflictError(f"another writer changed {target.location!r} meanwhile: {condition}")
    return error


def _version_of(spark: SparkSession, location: str, note: str) -> int:
    """Find the version that a commit made, by the note that it carries."""
    history = spark.sql(f"DESCRIBE HISTORY {sql_name(location)} LIMIT 100")
    for row in history.select("version", "userMetadata").collect():
        if row["userMetadata"] == note:
            return int(row["version"])
    raise VerificationError(
        f"the commit that was made on {location!r} is not among the last 100 of its history."
    )
