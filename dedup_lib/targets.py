"""The place that is to be written: what is there, and whether it may be replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyspark.sql import SparkSession

from dedup_lib.delta_tables import (
    UNTOLD,
    delta_root,
    is_delta_path,
    new_table_root,
    table_exists,
)
from dedup_lib.errors import (
    InputError,
    OutputExistsError,
    SettingsError,
    StorageError,
    UnsupportedError,
)
from dedup_lib.foreign_tables import check_written
from dedup_lib.locations import is_path
from dedup_lib.marked_outputs import is_incomplete
from dedup_lib.parquet_files import data_files, partition_columns_of
from dedup_lib.settings import OutputMode, TableFormat
from dedup_lib.storage import Storage
from dedup_lib.uris import scheme_of

Publishing = Literal["rename", "commit", "marker"]


@dataclass(frozen=True)
class Target:
    """A table that is to be written.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: `parquet` or `delta`.
        mode: `error` or `overwrite`.
        publishing: How it is published: by the `rename` of what was staged beside it, by a Delta
            `commit`, or, of Parquet where a rename is no single step, by a `marker` in its place.
        root: The canonical URI of its directory; None for a table that is yet to be made.
        exists: Whether there is a table to be replaced.
        may_replace: Whether `overwrite` could do so; a clone can't.
    """

    location: str
    format: TableFormat
    mode: OutputMode
    publishing: Publishing
    root: str | None
    exists: bool
    may_replace: bool = True

    @property
    def is_renamed(self) -> bool:
        """Whether it is staged beside its place and renamed."""
        return self.publishing == "rename"


def find_target(
    spark: SparkSession,
    storage: Storage,
    location: str,
    output_format: TableFormat,
    mode: OutputMode,
    *,
    may_replace: bool = True,
    may_append: bool = False,
    is_unfinished: bool = False,
) -> Target:
    """Look at the place that is to be written, and refuse what may not be replaced.

    Args:
        spark: The session.
        storage: The session's file systems.
        location: A path, a URI, or a catalog table name.
        output_format: The format to write.
        mode: What to do where something is there.
        may_replace: Whether what makes the output can replace a table at all.
        may_append: Whether what is there may stay, and be added to.
        is_unfinished: Whether what is there was left by a run that died: no one relies on it.

    Raises:
        OutputExistsError: There is something, and it may not be replaced.
        UnsupportedError: Parquet is to be replaced, where that takes more than two renames.
    """
    if not is_path(location):
        exists = table_exists(spark, location)
        root = delta_root(spark, storage, location) if exists else None
        target = Target(location, "delta", mode, "commit", root, exists, may_replace)
        if exists and mode == "error" and not may_append:
            raise output_exists(target)
        return target
    canonical = storage.canonical(location)
    if not canonical.rpartition("/")[2] or canonical.count("/") < 1:
        raise SettingsError(f"output {location!r} is the root of a file system.")
    if output_format == "parquet" or not storage.is_remote:  # Delta over Connect lists nothing
        check_written(storage, canonical, "output")
    exists = storage.exists(canonical)
    publishing = _publishing(storage, canonical, output_format, exists=exists)
    if publishing == "marker" and exists:  # S3A finds even an empty directory
        exists = not is_incomplete(storage, canonical) and bool(storage.list_files(canonical))
    target = Target(canonical, output_format, mode, publishing, canonical, exists, may_replace)
    if exists and mode == "error" and not may_append:
        raise output_exists(target)
    if exists:
        check_replaceable(storage, canonical, output_format)
        if output_format == "parquet" and not is_unfinished:
            _check_replaced_in_two_steps(storage, target)
    return target


def _publishing(
    storage: Storage, canonical: str, output_format: TableFormat, *, exists: bool
) -> Publishing:
    renames = storage.renames_in_one_step(canonical)
    if output_format == "parquet":
        return "rename" if renames else "marker"
    return "rename" if renames and not exists and not storage.is_remote else "commit"


def _check_replaced_in_two_steps(storage: Storage, target: Target) -> None:
    advice = "Use --output-format delta, whose overwrite is one commit, or choose another place."
    if target.publishing == "marker":
        raise UnsupportedError(
            f"output {target.location!r}: a Parquet directory can't be replaced on "
            f"{scheme_of(target.location)}, where no rename is one step. {advice}"
        )
    if storage.is_remote:
        raise UnsupportedError(
            f"output {target.location!r}: a Parquet directory can't be replaced over Spark "
            f"Connect, which has no renames of its own. {advice}"
        )


def default_base(spark: SparkSession, storage: Storage, target: Target) -> str:
    """Return the canonical location beside which a target's attempts work.

    For a path it is the path; for a table that is, its directory; for one that is yet to be
    made, a name in the directory of its catalog schema.
    """
    if target.root is not None:
        return target.root
    return new_table_root(spark, storage, target.location)


def check_told(base: str, advice: str) -> None:
    """Check that files can be kept at a base, which is none where a catalog keeps places to itself.

    Raises:
        SettingsError: They can't.
    """
    if scheme_of(base) == UNTOLD:
        name = base.partition(":/")[2].replace("/", ".")
        raise SettingsError(
            f"the catalog does not tell where table {name!r} will keep its files, and the run has "
            f"files of its own to keep: {advice}"
        )


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
                "Choose another place."
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
