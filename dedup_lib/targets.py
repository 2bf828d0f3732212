"""The place that is to be written: what is there, and whether it may be replaced."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession

from dedup_lib.delta_tables import delta_root, is_delta_path, new_table_root, table_exists
from dedup_lib.errors import (
    InputError,
    OutputExistsError,
    SettingsError,
    StorageError,
    UnsupportedError,
)
from dedup_lib.locations import is_path
from dedup_lib.parquet_files import data_files, partition_columns_of
from dedup_lib.settings import OutputMode, TableFormat
from dedup_lib.storage import ATOMIC_RENAME_SCHEMES, Storage
from dedup_lib.uris import scheme_of


@dataclass(frozen=True)
class Target:
    """A table that is to be written.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: `parquet` or `delta`.
        mode: `error` or `overwrite`.
        root: The canonical URI of its directory; None for a table that is yet to be made.
        exists: Whether there is a table to be replaced.
        may_replace: Whether `overwrite` could do so; a clone can't.
    """

    location: str
    format: TableFormat
    mode: OutputMode
    root: str | None
    exists: bool
    may_replace: bool = True

    @property
    def is_renamed(self) -> bool:
        """Whether it is staged beside its place and renamed; else Delta commits it in place."""
        if not is_path(self.location):
            return False
        atomic = scheme_of(self.location) in ATOMIC_RENAME_SCHEMES
        return self.format == "parquet" or (atomic and not self.exists)


def find_target(
    spark: SparkSession,
    storage: Storage,
    location: str,
    output_format: TableFormat,
    mode: OutputMode,
    *,
    may_replace: bool = True,
) -> Target:
    """Look at the place that is to be written, and refuse what may not be replaced.

    Args:
        spark: A classic Spark session.
        storage: The session's file systems.
        location: A path, a URI, or a catalog table name.
        output_format: The format to write.
        mode: What to do where something is there.
        may_replace: Whether what makes the output can replace a table at all.

    Raises:
        OutputExistsError: There is something, and it may not be replaced.
        UnsupportedError: Parquet on a store where a rename is no single step.
    """
    if not is_path(location):
        exists = table_exists(spark, location)
        root = delta_root(spark, storage, location) if exists else None
        target = Target(location, "delta", mode, root, exists, may_replace)
        if exists and mode == "error":
            raise output_exists(target)
        return target
    canonical = storage.canonical(location)
    if not canonical.rpartition("/")[2] or canonical.count("/") < 1:
        raise SettingsError(f"output {location!r} is the root of a file system.")
    if output_format == "parquet" and scheme_of(canonical) not in ATOMIC_RENAME_SCHEMES:
        raise UnsupportedError(
            f"output {canonical!r}: a Parquet directory can't be published in one step on "
            f"{scheme_of(canonical)}. Use --output-format delta."
        )
    exists = storage.exists(canonical)
    target = Target(canonical, output_format, mode, canonical, exists, may_replace)
    if exists and mode == "error":
        raise output_exists(target)
    if exists:
        check_replaceable(storage, canonical, output_format)
    return target


def default_base(spark: SparkSession, storage: Storage, target: Target) -> str:
    """Return the canonical location beside which a target's attempts work.

    For a path it is the path; for a table that is, its directory; for one that is yet to be
    made, a name in the directory of its catalog schema.
    """
    if target.root is not None:
        return target.root
    return new_table_root(spark, storage, target.location)


def check_replaceable(storage: Storage, location: str, output_format: TableFormat) -> None:
    """Check that what is at a canonical path is a table that the output may replace.

    Raises:
        OutputExistsError: It is something else.
    """
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
        for _ in storage.parquet_footers([files[0], *doubtful]):
            pass
    except (InputError, StorageError) as error:
        raise OutputExistsError(
            f"output {location!r} holds what is no Parquet table, so it is not replaced: {error}"
        ) from error


def output_exists(target: Target) -> OutputExistsError:
    """Return the error for a place that is taken."""
    replace = (
        "Use --output-mode overwrite to replace it, or choose" if target.may_replace else "Choose"
    )
    return OutputExistsError(f"output {target.location!r} exists. {replace} another place.")
