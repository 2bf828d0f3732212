"""Read removal lists from Parquet files, which may differ in their schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType

from dedup_lib.errors import MissingColumnError, UnreadableFileError
from dedup_lib.lists.kinds import check_one_kind
from dedup_lib.lists.shape import ID_FLAG, KIND_FLAG, ListShape
from dedup_lib.lists.wanted import ReadList, WantedList
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import quoted, values_of
from dedup_lib.session.storage import FileInfo, ParquetSchema
from dedup_lib.tables.directory import by_schema, footers_of, reader_of, spark_schema
from dedup_lib.tables.schema import column_names, simple_columns


@dataclass(frozen=True)
class _SchemaFiles:
    """Files that share one schema.

    Attributes:
        example: One of the files.
        filled: The files with rows.
        parquet_schema: The schema in the footers.
        schema: The schema as Spark reads it; None if Spark can't read it.
    """

    example: FileInfo
    filled: Sequence[FileInfo]
    parquet_schema: ParquetSchema
    schema: StructType | None

    @property
    def columns(self) -> Mapping[str, str]:
        """Names and Spark types of the columns; `void` if Spark can't read the schema."""
        if self.schema is None:
            return dict.fromkeys(column_names(self.parquet_schema), "void")
        return {field.name: field.dataType.simpleString() for field in self.schema}


def read_parquet(session: Session, files: Sequence[FileInfo], wanted: WantedList) -> ReadList:
    """Read a list's files lazily. The files with rows decide its kind, if there are any.

    Raises:
        UnreadableFileError: A file is empty or truncated, or is not a Parquet file.
        MissingColumnError, ColumnTypeError: A column is missing or of another type.
        AmbiguousListError, NotAListError: The kind is ambiguous, or it is not a list.

    *Cost:* the footers. If pandas gave a column of IDs or keepers no type, also that column.
    """
    advice = "Its entries are unknown: restore or remove that file."
    footers = footers_of(session, files, what=wanted.what, advice=advice)
    schemas = [
        _SchemaFiles(
            alike[0],
            [file for file in alike if footers[file].num_rows > 0],
            parquet_schema,
            _schema_or_none(session.spark, alike[0], parquet_schema),
        )
        for parquet_schema, alike in by_schema(footers).items()
    ]
    shape = _shape_of(session.spark, schemas, wanted)
    frames = [
        _read_filled(session.spark, wanted, alike, shape) for alike in schemas if alike.filled
    ]
    rows = reduce(DataFrame.unionByName, frames) if frames else _empty(session.spark, wanted, shape)
    are_pairs = shape.other_id_column is not None
    others = [
        _reader(session.spark, alike, [*shape.columns[:1], *shape.other_columns])
        for alike in schemas
        if alike.filled
    ]
    listed_rows = sum(footer.num_rows for footer in footers.values())
    return ReadList(
        shape,
        wanted.entries(rows, shape),
        rows if are_pairs else None,
        None if are_pairs else listed_rows,
        listed_rows,
        wanted.beside(others, shape),
    )


def _reader(spark: SparkSession, alike: _SchemaFiles, names: Sequence[str]) -> DataFrame:
    """Return a lazy frame of the files, with the columns of these names that they have."""
    schema = alike.schema or spark_schema(spark, alike.example)  # raises with the reason
    fields = [StructField(name, schema[name].dataType) for name in names if name in schema.names]
    reader, paths = reader_of(spark, alike.filled)
    return reader.schema(StructType(fields)).parquet(*paths)


def _shape_of(
    spark: SparkSession, schemas: Sequence[_SchemaFiles], wanted: WantedList
) -> ListShape:
    filled = [alike for alike in schemas if alike.filled]
    shapes, failures = {}, []
    for alike in filled or schemas:
        path = alike.example.path
        try:
            shapes[path] = wanted.recognise(path, alike.columns, one_file=len(schemas) > 1)
        except MissingColumnError as error:
            failures.append((error, alike))
    if failures and (filled or not shapes):
        lacking, alike = failures[0]
        if alike.filled and alike.schema is not None:
            raise wanted.advised(lacking, _reader(spark, alike, alike.schema.names))
        raise lacking
    return check_one_kind(wanted.what, shapes)


def _read_filled(
    spark: SparkSession, wanted: WantedList, alike: _SchemaFiles, shape: ListShape
) -> DataFrame:
    """Read all rows of files that share one schema and are not empty."""
    path = alike.example.path
    schema = alike.schema or spark_schema(spark, alike.example)  # raises with the reason
    for column in shape.columns:
        if column not in schema.names:
            where = f"{wanted.what}, file {path!r}"
            flag = ID_FLAG if column == shape.id_column else KIND_FLAG
            raise MissingColumnError.of(where, column, schema.names, flag, candidates=[])
    frame = _reader(spark, alike, shape.columns)
    for name in (shape.id_column, shape.other_id_column):
        if name is not None:
            frame = _typed(frame, name, wanted.data_type)
    wanted.check_types(frame.schema, shape, f" in file {path!r}")
    return wanted.select(frame, shape)


def _typed(frame: DataFrame, column: str, wanted: DataType) -> DataFrame:
    """Give a column of IDs the right type if it holds only NULLs.

    pandas writes such a column as INT32, whatever the type of the IDs.
    """
    may_be_untyped = frame.schema[column].dataType.simpleString() == "int" != wanted.simpleString()
    if may_be_untyped and frame.where(values_of(column).isNotNull()).isEmpty():
        return frame.withColumn(column, F.lit(None).cast(wanted))
    return frame


def _empty(spark: SparkSession, wanted: WantedList, shape: ListShape) -> DataFrame:
    types: dict[str | None, str] = {
        shape.id_column: wanted.data_type.simpleString(),
        shape.other_id_column: wanted.data_type.simpleString(),
        shape.score_column: "double",
        shape.group_column: "string",
    }
    fields = ", ".join(f"{quoted(name)} {types[name]}" for name in shape.columns)
    return wanted.select(spark.createDataFrame([], fields), shape)


def _schema_or_none(
    spark: SparkSession, file: FileInfo, parquet_schema: ParquetSchema
) -> StructType | None:
    """Return the schema as Spark reads it: as it finds it out, or if it is told (UUIDs)."""
    try:
        return spark_schema(spark, file)
    except UnreadableFileError:
        simple = simple_columns(parquet_schema)
        return simple if simple.names == column_names(parquet_schema) else None
