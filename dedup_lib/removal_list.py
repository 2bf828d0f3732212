"""Turn a producer's list into one typed ID column."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType

from dedup_lib.delta_tables import check_not_in_delta, is_delta_path
from dedup_lib.errors import (
    ColumnTypeError,
    MissingColumnError,
    TableFormatError,
    TableNotFoundError,
    UnreadableFileError,
)
from dedup_lib.files import FileInfo
from dedup_lib.parquet_files import (
    MARKERS,
    PARQUET_READER_OPTIONS,
    by_schema,
    fingerprint,
    footers_of,
    relative_parts,
    spark_schema,
)
from dedup_lib.settings import DuplicateIds, is_path
from dedup_lib.sql_names import quoted
from dedup_lib.storage import Storage
from dedup_lib.tables import (
    Pinned,
    PinnedTable,
    id_type,
    read_delta,
)

ENTRY_COLUMN = "image_id"
DEFAULT_ID_COLUMN = "id"
_PARQUET_NAMES = (".parquet", ".parq", ".pq")
_PARQUET_MAGIC = b"PAR1"
_FLAG = "--duplicate-id-column"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemovalList(Pinned):
    """One removal list, pinned.

    Attributes:
        frame: One row per list entry, lazily: `image_id` of the image table's type, nullable.
        num_rows: How many, where footers tell; None for Delta.
    """

    frame: DataFrame
    num_rows: int | None


@dataclass(frozen=True)
class _Wanted:
    """The ID column that a list must have."""

    location: str
    column: str
    data_type: DataType

    @property
    def what(self) -> str:
        return f"removal list {self.location!r}"

    def entries(self, frame: DataFrame) -> DataFrame:
        return frame.select(F.col(quoted(self.column)).alias(ENTRY_COLUMN))

    def wrong_type(self, found: str, where: str) -> ColumnTypeError:
        wanted = self.data_type.simpleString()
        return ColumnTypeError(
            f"{self.what}: column {self.column!r} is {found}{where}, but the image IDs are "
            f"{wanted}. Nothing is cast in silence: write the list with {wanted} IDs, or name "
            f"another column with {_FLAG}."
        )


def read_removal_list(
    spark: SparkSession,
    storage: Storage,
    item: DuplicateIds,
    *,
    default_column: str | None,
    image_id_type: DataType,
) -> RemovalList:
    """Pin a removal list and read its IDs lazily.

    Args:
        spark: A classic Spark session.
        storage: The session's file systems.
        item: The location, and perhaps the ID column.
        default_column: The ID column where the item names none; None means `id`.
        image_id_type: The type of the image table's IDs, which the list's must equal.

    Returns:
        The list, one row per entry, repeats and NULLs included.

    Raises:
        TableNotFoundError: There is nothing at the location.
        TableFormatError: A directory holds only directories.
        UnreadableFileError: A Parquet file is empty, truncated or junk.
        MissingColumnError, ColumnTypeError: The ID column is missing or of another type.

    Cost: Parquet: one listing, and the footers. Delta: the log.
    """
    column = item.id_column or default_column or DEFAULT_ID_COLUMN
    if not is_path(item.location):
        table = read_delta(spark, storage, item.location)
        return _from_delta(table, _Wanted(item.location, column, image_id_type))
    location = storage.canonical(item.location)
    wanted = _Wanted(location, column, image_id_type)
    if not storage.exists(location):
        raise TableNotFoundError(
            f"removal list {location!r} does not exist (patterns such as * are not expanded)."
        )
    if is_delta_path(storage, location):
        return _from_delta(read_delta(spark, storage, location), wanted)
    return _from_parquet(spark, storage, wanted)


def union(lists: Sequence[RemovalList]) -> DataFrame:
    """Put lists together: one row per entry, `image_id` (nullable) and `list_index`."""
    frames = [
        removal_list.frame.withColumn("list_index", F.lit(index))
        for index, removal_list in enumerate(lists)
    ]
    united = frames[0]
    for frame in frames[1:]:
        united = united.unionByName(frame)
    return united


def sum_of_hashes(*columns: str) -> Column:
    """Add up hashes of rows: the same for the same rows, in whatever order; 0 for none."""
    hashed = F.xxhash64(*columns).cast("decimal(20, 0)")
    return F.coalesce(F.sum(hashed), F.lit(0))


def _from_delta(table: PinnedTable, wanted: _Wanted) -> RemovalList:
    found = id_type(table.frame, wanted.column, what=wanted.what, flag=_FLAG)
    if found != wanted.data_type.simpleString():
        raise wanted.wrong_type(found, "")
    return RemovalList(
        location=table.location,
        format="delta",
        version=table.version,
        fingerprint=None,
        frame=wanted.entries(table.frame),
        num_rows=None,
    )


def _from_parquet(spark: SparkSession, storage: Storage, wanted: _Wanted) -> RemovalList:
    check_not_in_delta(storage, wanted.location, "removal list")
    files = _list_files(storage, wanted)
    advice = "Its entries can't be known: restore or remove that file."
    footers = footers_of(spark, storage, files, what=wanted.what, advice=advice)
    groups = [(group, _schema_or_none(spark, group[0])) for group in by_schema(footers).values()]
    if not any(schema is not None and wanted.column in schema.names for _, schema in groups):
        columns = spark_schema(spark, files[0]).names
        raise MissingColumnError.of(wanted.what, wanted.column, columns, _FLAG)
    frames = []
    for group, schema in groups:
        filled = [file for file in group if footers[file].num_rows > 0]
        if filled:
            frames.append(_read_group(spark, wanted, filled, schema))
    frame = frames[0] if frames else _empty(spark, wanted)
    for other in frames[1:]:
        frame = frame.unionByName(other)
    return RemovalList(
        location=wanted.location,
        format="parquet",
        version=None,
        fingerprint=fingerprint(files),
        frame=frame,
        num_rows=sum(footer.num_rows for footer in footers.values()),
    )


def _read_group(
    spark: SparkSession, wanted: _Wanted, files: Sequence[FileInfo], schema: StructType | None
) -> DataFrame:
    """Read files that share one schema and are not empty."""
    schema = schema or spark_schema(spark, files[0])  # which says why there was none
    where = f"{wanted.what}, file {files[0].path!r}"
    if wanted.column not in schema.names:
        raise MissingColumnError.of(where, wanted.column, schema.names, _FLAG)
    field = StructField(wanted.column, schema[wanted.column].dataType)
    frame = wanted.entries(
        spark.read.schema(StructType([field]))
        .options(**PARQUET_READER_OPTIONS)
        .parquet(*(file.path for file in files))
    )
    found = field.dataType.simpleString()
    if found == wanted.data_type.simpleString():
        return frame
    # pandas writes a column that holds nothing but NULLs as INT32, whatever its type.
    if found == "int" and frame.where(F.col(ENTRY_COLUMN).isNotNull()).isEmpty():
        return frame.select(F.lit(None).cast(wanted.data_type).alias(ENTRY_COLUMN))
    raise wanted.wrong_type(found, f" in file {files[0].path!r}")


def _empty(spark: SparkSession, wanted: _Wanted) -> DataFrame:
    return spark.createDataFrame([], StructType([StructField(ENTRY_COLUMN, wanted.data_type)]))


def _schema_or_none(spark: SparkSession, file: FileInfo) -> StructType | None:
    try:
        return spark_schema(spark, file)
    except UnreadableFileError:
        return None


def _list_files(storage: Storage, wanted: _Wanted) -> list[FileInfo]:
    """Return the Parquet files of a list directory; what is no Parquet is passed over aloud."""
    files, nested = [], set()
    for file in storage.list_files(wanted.location):
        *directories, name = relative_parts(wanted.location, file)
        if name.startswith(("_", ".")) or any(part.startswith(("_", ".")) for part in directories):
            if not MARKERS.fullmatch(name):
                _log.warning("%s: passed over %r, which is hidden", wanted.what, file.path)
            continue
        if any("=" not in part for part in directories):
            nested.add(directories[0])
            continue
        if _is_parquet(storage, file):
            files.append(file)
        elif file.path == wanted.location:
            raise UnreadableFileError(f"{wanted.what} is no Parquet file.")
        else:
            _log.warning("%s: passed over %r, which is no Parquet file", wanted.what, file.path)
    if nested and not files:
        raise TableFormatError(
            f"{wanted.what} holds only directories ({', '.join(sorted(nested)[:5])}): name the "
            "one with the list, for others may hold something else."
        )
    if nested:
        _log.warning("%s: passed over directories %s", wanted.what, sorted(nested))
    if not files:
        raise TableNotFoundError(f"{wanted.what} holds no Parquet file.")
    return files


def _is_parquet(storage: Storage, file: FileInfo) -> bool:
    if file.path.lower().endswith(_PARQUET_NAMES):
        return True
    return storage.read_head(file.path, len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
