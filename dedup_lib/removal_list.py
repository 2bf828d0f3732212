"""Turn a producer's list into typed entries: IDs, and with them keepers, scores or groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType

from dedup_lib.delta_tables import check_not_in_delta, is_delta_path
from dedup_lib.errors import (
    ColumnTypeError,
    MissingColumnError,
    SettingsError,
    TableFormatError,
    TableNotFoundError,
    UnreadableFileError,
)
from dedup_lib.files import FileInfo
from dedup_lib.list_kinds import (
    DEFAULT_ID_COLUMN,
    ID_FLAG,
    ListShape,
    check_one_kind,
    recognise,
)
from dedup_lib.parquet_files import (
    MARKERS,
    PARQUET_READER_OPTIONS,
    by_schema,
    fingerprint,
    footers_of,
    relative_parts,
    spark_schema,
)
from dedup_lib.settings import AskedListKind, DuplicateIds, ListKind, is_path
from dedup_lib.sql_names import quoted
from dedup_lib.storage import Storage
from dedup_lib.tables import (
    Pinned,
    PinnedTable,
    id_type,
    read_delta,
)

ENTRY_COLUMN = "image_id"
_PARQUET_NAMES = (".parquet", ".parq", ".pq")
_PARQUET_MAGIC = b"PAR1"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemovalList(Pinned):
    """One removal list, pinned.

    Attributes:
        shape: What it was taken for.
        frame: One row per list entry, lazily: `image_id` of the image table's type, nullable; of
            pairs also `keeper_id` (the same type) and `score` (double), only those whose score is
            high enough; of groups also `group_id` (string, nullable).
        num_rows: How many, where footers tell; None for Delta, and for pairs.
    """

    shape: ListShape
    frame: DataFrame
    num_rows: int | None

    @property
    def kind(self) -> ListKind:
        """What its entries mean."""
        return self.shape.kind

    def described(self) -> dict[str, object]:
        """Return what the report says of it."""
        said = {"kind": self.shape.kind, "taken_for": self.shape.producer}
        return {**super().described(), **said, "id_column": self.shape.id_column}


@dataclass(frozen=True)
class _Wanted:
    """What a list must be."""

    location: str
    kind: ListKind | None
    id_column: str | None
    data_type: DataType
    eps: float | None

    @property
    def what(self) -> str:
        return f"removal list {self.location!r}"

    def recognise(self, schema: StructType, file: FileInfo | None = None) -> ListShape:
        columns = {field.name: field.dataType.simpleString() for field in schema}
        what = self.what if file is None else f"{self.what}, file {file.path!r}"
        location = self.location if file is None else file.path
        return recognise(what, location, columns, kind=self.kind, id_column=self.id_column)

    def entries(self, frame: DataFrame, shape: ListShape) -> DataFrame:
        """Select an entry's columns, and of pairs those that are similar enough."""
        named = {ENTRY_COLUMN: F.col(quoted(shape.id_column))}
        if shape.keeper_column is not None and shape.score_column is not None:
            named["keeper_id"] = F.col(quoted(shape.keeper_column))
            named["score"] = F.col(quoted(shape.score_column)).cast("double")
        if shape.group_column is not None:
            named["group_id"] = F.col(quoted(shape.group_column)).cast("string")
        entries = frame.select(*(column.alias(name) for name, column in named.items()))
        if shape.kind != "pairwise":
            return entries
        if self.eps is None:
            raise SettingsError(
                f"{self.what} holds pairs with scores: say with --eps from which similarity on an "
                "image is a duplicate (it goes when its score is at least 1 - EPS)."
            )
        # As pandas compares: in 64 bits, and NaN, which Spark takes for the largest, is not alike.
        score = F.col("score")
        return entries.where(~F.isnan(score) & (score >= F.lit(1.0 - self.eps)))

    def check_types(self, schema: StructType, shape: ListShape, where: str) -> None:
        wanted = self.data_type.simpleString()
        for column in (shape.id_column, shape.keeper_column):
            if column is not None and (found := schema[column].dataType.simpleString()) != wanted:
                raise ColumnTypeError(
                    f"{self.what}: column {column!r} is {found}{where}, but the image IDs are "
                    f"{wanted}. Nothing is cast in silence: write the list with {wanted} IDs, or "
                    f"name another column with {ID_FLAG}."
                )
        if shape.score_column is not None:
            found = schema[shape.score_column].dataType.simpleString()
            if found not in ("float", "double"):
                raise ColumnTypeError(
                    f"{self.what}: column {shape.score_column!r} is {found}{where}, and no score."
                )


def read_removal_list(
    spark: SparkSession,
    storage: Storage,
    item: DuplicateIds,
    *,
    image_id_type: DataType,
    default_column: str | None = None,
    default_kind: AskedListKind = "auto",
    eps: float | None = None,
) -> RemovalList:
    """Pin a removal list, tell what it means, and read its entries lazily.

    Args:
        spark: A classic Spark session.
        storage: The session's file systems.
        item: The location, and perhaps the ID column and the kind.
        image_id_type: The type of the image table's IDs, which the list's must equal.
        default_column: The ID column where the item names none; None takes the recognised
            producer's.
        default_kind: The kind where the item names none; `auto` recognises it.
        eps: Of pairs those count whose score is at least 1 - eps.

    Returns:
        The list, one row per entry, repeats and NULLs included.

    Raises:
        TableNotFoundError: There is nothing at the location.
        TableFormatError: A directory holds only directories.
        UnreadableFileError: A Parquet file is empty, truncated or junk.
        MissingColumnError, ColumnTypeError: A column is missing or of another type.
        AmbiguousListError, NotAListError: What it means can't be told, or is nothing of use.
        SettingsError: There are pairs, and no eps.

    Cost: Parquet: one listing, and the footers. Delta: the log.
    """
    kind = item.kind or default_kind
    column = item.id_column or default_column
    is_named = not is_path(item.location)
    location = item.location if is_named else storage.canonical(item.location)
    wanted = _Wanted(location, None if kind == "auto" else kind, column, image_id_type, eps)
    if not is_named and not storage.exists(location):
        raise TableNotFoundError(
            f"removal list {location!r} does not exist (patterns such as * are not expanded)."
        )
    if is_named or is_delta_path(storage, location):
        return _from_delta(read_delta(spark, storage, location), wanted)
    return _from_parquet(spark, storage, wanted)


def union(lists: Sequence[RemovalList]) -> DataFrame:
    """Put lists together: one row per entry, `image_id` (nullable) and `list_index`."""
    frames = [
        removal_list.frame.select(ENTRY_COLUMN, F.lit(index).alias("list_index"))
        for index, removal_list in enumerate(lists)
    ]
    return reduce(DataFrame.unionByName, frames)


def sum_of_hashes(*columns: str) -> Column:
    """Add up hashes of rows: the same for the same rows, in whatever order; 0 for none."""
    hashed = F.xxhash64(*columns).cast("decimal(20, 0)")
    return F.coalesce(F.sum(hashed), F.lit(0))


def _from_delta(table: PinnedTable, wanted: _Wanted) -> RemovalList:
    shape = wanted.recognise(table.frame.schema)
    id_type(table.frame, shape.id_column, what=wanted.what, flag=ID_FLAG)
    wanted.check_types(table.frame.schema, shape, "")
    return RemovalList(
        location=table.location,
        format="delta",
        version=table.version,
        fingerprint=None,
        shape=shape,
        frame=wanted.entries(table.frame, shape),
        num_rows=None,
    )


def _from_parquet(spark: SparkSession, storage: Storage, wanted: _Wanted) -> RemovalList:
    check_not_in_delta(storage, wanted.location, "removal list")
    files = _list_files(storage, wanted)
    advice = "Its entries can't be known: restore or remove that file."
    footers = footers_of(spark, storage, files, what=wanted.what, advice=advice)
    groups = [
        _Group(
            group[0],
            [file for file in group if footers[file].num_rows > 0],
            _schema_or_none(spark, group[0]),
        )
        for group in by_schema(footers).values()
    ]
    shape = _shape_of(groups, wanted)
    frames = [_read_group(spark, wanted, group, shape) for group in groups if group.filled]
    return RemovalList(
        location=wanted.location,
        format="parquet",
        version=None,
        fingerprint=fingerprint(files),
        shape=shape,
        frame=reduce(DataFrame.unionByName, frames) if frames else _empty(spark, wanted, shape),
        num_rows=None
        if shape.kind == "pairwise"
        else sum(footer.num_rows for footer in footers.values()),
    )


@dataclass(frozen=True)
class _Group:
    """Files that share one schema: an example, those with rows, and the schema if Spark has one."""

    example: FileInfo
    filled: Sequence[FileInfo]
    schema: StructType | None


def _shape_of(groups: Sequence[_Group], wanted: _Wanted) -> ListShape:
    """Tell what a list's files are: those with rows decide, where there are any."""
    deciding = [group for group in groups if group.filled] or groups
    shapes, failures = {}, []
    for group in deciding:
        if group.schema is None:
            continue
        try:
            shapes[group.example.path] = wanted.recognise(
                group.schema, group.example if len(groups) > 1 else None
            )
        except MissingColumnError as error:
            failures.append(error)
    if failures and (not shapes or any(group.filled for group in groups)):
        raise failures[0]
    if not shapes:  # Spark reads none of them: of no type, and so of no use but to be empty
        return wanted.recognise(StructType([StructField(DEFAULT_ID_COLUMN, wanted.data_type)]))
    return check_one_kind(wanted.what, shapes)


def _read_group(spark: SparkSession, wanted: _Wanted, group: _Group, shape: ListShape) -> DataFrame:
    """Read files that share one schema and are not empty."""
    path = group.example.path
    schema = group.schema or spark_schema(spark, group.example)  # which says why there was none
    for column in shape.columns:
        if column not in schema.names:
            where = f"{wanted.what}, file {path!r}"
            raise MissingColumnError.of(where, column, schema.names, ID_FLAG)
    fields = StructType([StructField(name, schema[name].dataType) for name in shape.columns])
    frame = (
        spark.read.schema(fields)
        .options(**PARQUET_READER_OPTIONS)
        .parquet(*(file.path for file in group.filled))
    )
    # pandas writes a column that holds nothing but NULLs as INT32, whatever its type.
    if fields[shape.id_column].dataType.simpleString() == "int" != wanted.data_type.simpleString():
        own_id = F.col(quoted(shape.id_column))
        if frame.where(own_id.isNotNull()).isEmpty():
            typed = F.lit(None).cast(wanted.data_type)
            frame = frame.withColumn(shape.id_column, typed)
    wanted.check_types(frame.schema, shape, f" in file {path!r}")
    return wanted.entries(frame, shape)


def _empty(spark: SparkSession, wanted: _Wanted, shape: ListShape) -> DataFrame:
    types: dict[str | None, str] = {
        shape.id_column: wanted.data_type.simpleString(),
        shape.keeper_column: wanted.data_type.simpleString(),
        shape.score_column: "double",
        shape.group_column: "string",
    }
    fields = ", ".join(f"{quoted(name)} {types[name]}" for name in shape.columns)
    return wanted.entries(spark.createDataFrame([], fields), shape)


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
