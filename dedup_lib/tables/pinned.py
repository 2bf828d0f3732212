"""A pinned table: its rows and files as they were when the run first read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame

from dedup_lib.errors import ColumnTypeError, MissingColumnError, UnreadableFileError
from dedup_lib.session.storage import FileInfo, ParquetSchema
from dedup_lib.tables.columns import metadata
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.id_table import IdTable
from dedup_lib.tables.id_types import TAKEN, can_hold_ids
from dedup_lib.tables.registry import format_named


@dataclass(frozen=True)
class Pinned:
    """An input as it was when the run read it.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: `parquet` or `delta`; for a list also `npy`, `csv`, `jsonl`, `json` or `txt`.
        version: The Delta version; None for files.
        fingerprint: SHA-256 over paths, sizes and modification times of the files; None for Delta.
    """

    location: str
    format: str
    version: int | None
    fingerprint: str | None

    def described(self) -> dict[str, object]:
        """Return location, format, version and fingerprint, for the report."""
        return {
            "location": self.location,
            "format": self.format,
            "version": self.version,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class PinnedTable(Pinned):
    """A pinned table, with its rows.

    Attributes:
        root: The canonical URI of the directory or file that holds the data.
        frame: The rows, lazily. Each evaluation reads the same files.
        partition_columns: The columns whose values are in directory names.
        files: The data files of a Parquet table; empty for Delta.
        file_schemas: The distinct Parquet schemas of the files; empty for Delta.
        schema_examples: One file for each of these schemas.
        unreadable: Why Spark can't read all columns; None if it can. If it can't, the frame has
            only columns of simple types.
        empty_files: The files that hold no rows.
        has_row_index: Whether `_metadata.row_index` can be read.
        detail: What the format says about the pinned table: Delta's DESCRIBE DETAIL, which takes
            a read of its log. Empty for other formats.
        id_table: The image IDs, if they were read once for all; by executors while they read the
            footers, or by Spark for the plan.
        leftovers: Files beside the data files that hold no rows, but that Spark and Delta would
            take for data files.
        beside: For shards: the metadata files beside them, which are rewritten with them.
    """

    format: str
    root: str
    frame: DataFrame
    partition_columns: tuple[str, ...]
    files: tuple[FileInfo, ...]
    file_schemas: tuple[ParquetSchema, ...]
    schema_examples: tuple[FileInfo, ...]
    unreadable: str | None
    empty_files: tuple[FileInfo, ...]
    has_row_index: bool
    detail: Mapping[str, Any]
    id_table: IdTable | None = field(default=None, kw_only=True)
    leftovers: tuple[FileInfo, ...] = field(default=(), kw_only=True)
    beside: tuple[FileInfo, ...] = field(default=(), kw_only=True)

    @property
    def table_format(self) -> TableFormat:
        """The object that implements the table's format."""
        return format_named(self.format)


def id_type(frame: DataFrame, column: str, *, what: str, flag: str) -> str:
    """Return the type of an ID column, as Spark spells it.

    Raises:
        MissingColumnError: There is no such column (names are case-sensitive).
        ColumnTypeError: IDs can't have this type.
    """
    if column not in frame.columns:
        # Bytes are images more often than IDs.
        fit = [name for name, of in frame.dtypes if can_hold_ids(of) and of != "binary"]
        raise MissingColumnError.of(what, column, frame.columns, flag, candidates=fit)
    found = frame.schema[column]
    kind = found.dataType.simpleString()
    declared = found.metadata.get("__CHAR_VARCHAR_TYPE_STRING", "")
    if not can_hold_ids(kind) or declared.startswith("char"):
        raise ColumnTypeError(
            f"{what}: column {column!r} is {declared or kind}; image IDs must be {TAKEN}. "
            "Cast it where the table is made."
        )
    return kind


def check_is_readable(table: PinnedTable) -> None:
    """Check that Spark can read all columns of a table; for steps that read images with Spark.

    Raises:
        UnreadableFileError: Spark can't read all columns.
    """
    if table.unreadable is not None:
        raise UnreadableFileError(table.unreadable)


def has_row_index(frame: DataFrame) -> bool:
    """Tell whether `_metadata.row_index` can be read; some Delta tables do not have it."""
    try:
        return "row_index" in frame.select(metadata(frame, "row_index").alias("row_index")).columns
    except AnalysisException:
        return False
