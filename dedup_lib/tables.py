"""Pin and read a table: Parquet or Delta, by path or by catalog name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from dedup_lib.delta_tables import (
    delta_detail,
    delta_root,
    delta_version,
    is_delta_path,
    root_in,
)
from dedup_lib.errors import (
    ColumnTypeError,
    InputChangedError,
    MissingColumnError,
    SettingsError,
    TableFormatError,
    TableNotFoundError,
    UnreadableFileError,
    UnsupportedError,
)
from dedup_lib.files import FileInfo
from dedup_lib.foreign_tables import check_read
from dedup_lib.locations import is_path
from dedup_lib.parquet_files import (
    PARQUET_READER_OPTIONS,
    common_schema,
    data_files,
    fingerprint,
    partition_columns_of,
)
from dedup_lib.settings import ImagesFormat, TableFormat
from dedup_lib.sql_names import sql_name
from dedup_lib.storage import Storage

ID_TYPES = ("string", "bigint", "int")


@dataclass(frozen=True)
class Pinned:
    """What was read, as it was when the run looked at it.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: `parquet` or `delta`; of a list also `npy`, `jsonl` or `csv`.
        version: The Delta version; None for files.
        fingerprint: SHA-256 over paths, sizes and times of the files; None for Delta.
    """

    location: str
    format: TableFormat | Literal["npy", "jsonl", "csv"]
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
        partition_columns: The columns that are kept in directory names.
        files: The data files of a Parquet table; empty for Delta.
        file_schemas: The distinct Parquet schemas of the files, as text; empty for Delta.
        schema_examples: A file for each of these.
        unreadable: Why Spark can't read all columns; None where it can. The frame then has those
            that may hold IDs.
        empty_files: Those of the files that hold no row.
        has_row_index: Whether `_metadata.row_index` can be read.
    """

    format: TableFormat
    root: str
    frame: DataFrame
    partition_columns: tuple[str, ...]
    files: tuple[FileInfo, ...]
    file_schemas: tuple[str, ...]
    schema_examples: tuple[FileInfo, ...]
    unreadable: str | None
    empty_files: tuple[FileInfo, ...]
    has_row_index: bool


def read_images(
    spark: SparkSession, storage: Storage, location: str, images_format: ImagesFormat
) -> PinnedTable:
    """Pin an image table and read it lazily.

    Args:
        spark: The session.
        storage: The session's file systems.
        location: A path, a URI, or a catalog table name.
        images_format: `auto` takes Delta where there is a `_delta_log`, or what the catalog says.

    Returns:
        The table, one row per image, with its columns as they are; partition columns of a
        Parquet directory are strings, spelled as in the directory names.

    Raises:
        TableNotFoundError: There is nothing at the location.
        TableFormatError: The layout is not that of the format.
        UnreadableFileError: A data file is empty or no Parquet.
        UnsupportedError: Its files can't be told, for a column is called as what tells them.

    Cost: Parquet: one listing, and one footer a file. Delta: the log.
    """
    table = _read_images(spark, storage, location, images_format)
    if any(name.lower() == "_metadata" for name in table.frame.columns):
        _check_files_are_told(table)
    return table


def _read_images(
    spark: SparkSession, storage: Storage, location: str, images_format: ImagesFormat
) -> PinnedTable:
    if is_path(location):
        return _read_path(spark, storage, storage.canonical(location), images_format)
    if images_format == "parquet":
        raise SettingsError(
            f"--images {location!r} is a table name, which can't be --images-format parquet: "
            "give a path with a slash, or leave the format out."
        )
    return read_delta(spark, storage, location)


def read_delta(spark: SparkSession, storage: Storage, location: str) -> PinnedTable:
    """Pin a Delta table, by canonical path or by name, at its newest version."""
    detail = delta_detail(spark, location)
    version = delta_version(spark, location)
    frame = spark.sql(f"SELECT * FROM {sql_name(location)} VERSION AS OF {version}")
    return PinnedTable(
        location=location,
        root=root_in(storage, detail),
        format="delta",
        version=version,
        fingerprint=None,
        frame=frame,
        partition_columns=tuple(detail["partitionColumns"]),
        files=(),
        file_schemas=(),
        schema_examples=(),
        unreadable=None,
        empty_files=(),
        has_row_index=_has_row_index(frame),
    )


def root_of(spark: SparkSession, storage: Storage, location: str) -> str:
    """Return where a table's files are, as a canonical URI; nothing needs to be there yet."""
    if is_path(location):
        return storage.canonical(location)
    return delta_root(spark, storage, location)


def id_type(frame: DataFrame, column: str, *, what: str, flag: str) -> str:
    """Return the type of an ID column: `string`, `bigint` or `int`.

    Raises:
        MissingColumnError: There is no such column (the case counts).
        ColumnTypeError: The type is none that IDs may have.
    """
    if column not in frame.columns:
        raise MissingColumnError.of(what, column, frame.columns, flag)
    field = frame.schema[column]
    kind = field.dataType.simpleString()
    declared = field.metadata.get("__CHAR_VARCHAR_TYPE_STRING", "")
    if kind not in ID_TYPES or declared.startswith("char"):
        raise ColumnTypeError(
            f"{what}: column {column!r} is {declared or kind}; image IDs must be "
            f"{', '.join(ID_TYPES[:-1])} or {ID_TYPES[-1]}. Cast it where the table is made."
        )
    return kind


def metadata(frame: DataFrame, name: str) -> Column:
    """Return a field of the hidden file metadata, whatever the user's columns are called."""
    return frame.metadataColumn("_metadata").getField(name)


def _check_files_are_told(table: PinnedTable) -> None:
    try:
        _ = table.frame.select(metadata(table.frame, "file_path")).schema
    except AnalysisException as error:
        raise UnsupportedError(
            f"image table {table.location!r} has a column '_metadata', which Spark Connect mixes "
            "up with what it tells of a Delta table's files. Rename it, or run in a classic "
            "session."
        ) from error


def check_is_readable(table: PinnedTable) -> None:
    """Check that Spark can read all columns of a table, for what reads its images by Spark.

    Raises:
        UnreadableFileError: It can't.
    """
    if table.unreadable is not None:
        raise UnreadableFileError(table.unreadable)


def check_unchanged(storage: Storage, table: PinnedTable) -> None:
    """Check that the files of a pinned Parquet table are still those that were pinned.

    Raises:
        InputChangedError: A file was replaced or deleted. New files are no matter.
    """
    if table.format == "delta":
        return
    now = {file.path: file for file in storage.list_files(table.root)}
    for file in table.files:
        if now.get(file.path) != file:
            raise InputChangedError(
                f"file {file.path!r} of the image table was changed or deleted during the run; "
                "nothing was published. Run again when no one writes there."
            )


def _read_path(
    spark: SparkSession, storage: Storage, location: str, images_format: ImagesFormat
) -> PinnedTable:
    if not storage.exists(location):
        raise TableNotFoundError(
            f"image table {location!r} does not exist (patterns such as * are not expanded)."
        )
    delta = is_delta_path(storage, location)
    if images_format == "parquet" and delta:
        raise TableFormatError(
            f"image table {location!r} is a Delta table: read as Parquet it would bring back "
            "deleted rows. Use --images-format delta (or auto)."
        )
    if images_format == "delta" and not delta:
        raise TableFormatError(f"image table {location!r} is no Delta table: it has no _delta_log.")
    return (
        read_delta(spark, storage, location) if delta else _read_parquet(spark, storage, location)
    )


def _read_parquet(spark: SparkSession, storage: Storage, location: str) -> PinnedTable:
    check_read(storage, location, "image table")
    files = data_files(storage, location, what="image table")
    partition_columns = partition_columns_of(location, files, what="image table")
    schema = common_schema(spark, storage, files)
    for name in partition_columns:
        if name.lower() in (field.name.lower() for field in schema.columns):
            raise TableFormatError(
                f"image table {location!r} has {name!r} both as a directory name and as a "
                "column of its files: they could differ."
            )
    partitions = [StructField(name, StringType()) for name in partition_columns]
    frame = (
        spark.read.schema(StructType([*schema.columns.fields, *partitions]))
        .options(**PARQUET_READER_OPTIONS)
        .parquet(location)
    )
    return PinnedTable(
        location=location,
        root=location,
        format="parquet",
        version=None,
        fingerprint=fingerprint(files),
        frame=frame,
        partition_columns=partition_columns,
        files=tuple(files),
        file_schemas=tuple(schema.examples),
        schema_examples=tuple(schema.examples.values()),
        unreadable=schema.why_not_all,
        empty_files=schema.empty_files,
        has_row_index=True,
    )


def _has_row_index(frame: DataFrame) -> bool:
    # Delta offers it only where deletion vectors or row tracking are on.
    try:
        return "row_index" in frame.select(metadata(frame, "row_index").alias("row_index")).columns
    except AnalysisException:
        return False
