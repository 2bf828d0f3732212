"""Find the schema that the files of an image table share."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import TableFormatError, UnreadableFileError
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, ParquetFooter, ParquetSchema
from dedup_lib.tables.directory import by_schema, spark_schema
from dedup_lib.tables.layout.partitions import misread_partitions
from dedup_lib.tables.schema import leaf_types, simple_columns


@dataclass(frozen=True)
class CommonSchema:
    """The schema that the files of an image table share.

    Attributes:
        columns: The columns as Spark reads them. If Spark can't read all columns, only columns of
            simple types.
        why_unreadable: Why Spark can't read all columns; None if it can.
        examples: One file for each Parquet schema in the footers; a file with rows if there is one.
        empty_files: The files that hold no rows.
    """

    columns: StructType
    why_unreadable: str | None
    examples: dict[ParquetSchema, FileInfo]
    empty_files: tuple[FileInfo, ...]


def common_schema(
    session: Session,
    location: str,
    footers: Mapping[FileInfo, ParquetFooter],
    copies: Mapping[ParquetSchema, FileInfo],
) -> CommonSchema:
    """Find the schema that an image table's files share.

    Args:
        session: The session, with its file systems.
        location: The table's canonical location.
        footers: The footer of each file.
        copies: Files with copies of footers, so that Spark need not open the table's files.

    Raises:
        TableFormatError: The files have different columns or types.
        UnreadableFileError: Spark can't read a column, and no other engine can.
    """
    empty = tuple(file for file, footer in footers.items() if footer.num_rows == 0)
    examples = {
        schema: next((file for file in group if footers[file].num_rows), group[0])
        for schema, group in by_schema(footers).items()
    }
    why_unreadable = next(iter(misread_partitions(location, list(footers)).values()), None)
    try:
        schemas = [
            _schema_of(session.spark, copies.get(schema), file) for schema, file in examples.items()
        ]
    except UnreadableFileError as error:
        columns, why_unreadable = simple_columns(next(iter(examples))), str(error)
        types = [leaf_types(schema) for schema in examples]
    else:
        columns = schemas[0]
        types = [{field.name: field.dataType.simpleString() for field in s} for s in schemas]
    files_and_types = list(zip(examples.values(), types, strict=True))
    for other in files_and_types[1:]:
        _check_same_columns(files_and_types[0], other)
    return CommonSchema(columns, why_unreadable, examples, empty)


def _schema_of(spark: SparkSession, copy: FileInfo | None, file: FileInfo) -> StructType:
    if copy is not None:
        with contextlib.suppress(UnreadableFileError):  # the error shall name the file itself
            return spark_schema(spark, copy)
    return spark_schema(spark, file)


def _check_same_columns(
    one: tuple[FileInfo, dict[str, str]], other: tuple[FileInfo, dict[str, str]]
) -> None:
    (file, types), (other_file, other_types) = one, other
    for name in sorted(types.keys() ^ other_types.keys()):
        having, lacking = (file, other_file) if name in types else (other_file, file)
        raise TableFormatError(
            f"image table: column {name!r} is in file {having.path!r} but not in {lacking.path!r}. "
            "All files must have the same columns: rewrite those that lack it."
        )
    for name, kind in types.items():
        if other_types[name] != kind:
            raise TableFormatError(
                f"image table: column {name!r} is {kind} in file {file.path!r} but "
                f"{other_types[name]} in {other_file.path!r}."
            )
