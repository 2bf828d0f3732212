"""The data files of a Delta table, as executors read them without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StructField, StructType, TimestampType

from dedup_lib.delta.detail import delta_detail
from dedup_lib.delta.physical_names import MODE, read_metadata
from dedup_lib.errors import UnsupportedError
from dedup_lib.executor.shards.packing.stored_columns import StoredSchema
from dedup_lib.locations import decode_path
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import quoted
from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.columns import metadata
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.layout.data_files import DataFiles

_VECTORS = "deletionVectors"


def stored_schema(session: Session, images: ImageTable) -> StoredSchema:
    """Return what executors need to read the columns of a Delta table as Spark does.

    Raises:
        UnsupportedError: The names of the columns in the files are unknown, or no file has the
            IDs.

    *Cost:* Delta's details of the table; with column mapping, what `read_metadata` reads.
    """
    if images.id_column in images.partition_columns:
        raise _unsupported(images, f"its ID column {images.id_column!r} is a partition column")
    # The details from before the version was pinned, and those of now: others may switch a mapping
    # on or off meanwhile. A name that is taken for one in the files would read as NULL.
    now = delta_detail(session.spark, images.location)["properties"]
    modes = {properties.get(MODE, "none") for properties in (images.detail["properties"], now)}
    text, by_id = images.frame.schema.json(), False
    if modes != {"none"}:
        found = read_metadata(session.spark, images)
        text = "" if found is None else found["schemaString"]
        # A log that hides commits could tell an older schema.
        if found is None or _spelled(text) != images.frame.schema.simpleString():
            raise _unsupported(
                images, "the names of its columns in the files can't be read from its log"
            )
        by_id = (found["configuration"] or {}).get(MODE) == "id"
    return StoredSchema(text, by_id, images.partition_columns)


def data_files(session: Session, images: ImageTable, counted: Sequence[FileRows]) -> DataFiles:
    """Return the files that a scan of the IDs found rows in: those of the pinned version.

    Raises:
        UnsupportedError: As for `stored_schema`. Or no file has rows, or files are in stores of
            different kinds.

    *Cost:* that of `stored_schema`; with partition columns, a scan that reads only footers.
    """
    if not counted:
        raise _unsupported(images, "it has no rows")
    files = [
        FileInfo(decode_path(file.file_path), file.size_bytes, file.modified_ms) for file in counted
    ]
    files.sort(key=lambda file: file.path)
    root = _common_directory(files[0].path, files[-1].path)
    if not root:
        raise _unsupported(images, "its files are in stores of different kinds")
    features = delta_detail(session.spark, images.location).asDict().get("tableFeatures")
    return DataFiles(
        root,
        tuple(files),
        _partitions(images),
        stored_schema(session, images),
        # Delta offers no row index where no row can be hidden. Tasks compare numbers of rows.
        hides_rows=images.has_row_index and (features is None or _VECTORS in features),
    )


def _partitions(images: ImageTable) -> Mapping[str, Mapping[str, str | None]]:
    """Return the values of partition columns by file, as texts: Spark reads them from the log."""
    names = images.partition_columns
    if not names:
        return {}
    path = metadata(images.frame, "file_path").alias("path")
    texts = F.array(*(_as_text(images.frame.schema[name]) for name in names)).alias("texts")
    by_file = images.frame.select(path, texts).groupBy("path").agg(F.first("texts").alias("texts"))
    return {
        decode_path(row["path"]): dict(zip(names, row["texts"], strict=True))
        for row in by_file.collect()
    }


def _as_text(field: StructField) -> Column:
    """Return a partition value as text, as `StoredFile` takes it."""
    value = F.col(quoted(field.name))
    if isinstance(field.dataType, TimestampType):
        return F.unix_micros(value).cast("string")
    if isinstance(field.dataType, BinaryType):
        return F.hex(value)
    return value.cast("string")


def _common_directory(first: str, last: str) -> str:
    """Return the directory that holds the first and the last of some sorted paths; maybe empty."""
    parts = []
    for one, other in zip(first.split("/")[:-1], last.split("/")[:-1], strict=False):
        if one != other:
            break
        parts.append(one)
    return "/".join(parts)


def _spelled(schema: str) -> str:
    return StructType.fromJson(json.loads(schema)).simpleString()


def _unsupported(images: ImageTable, reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"Delta table {images.location!r} can't be written as shards: {reason}. Write it with "
        "--output-format parquet, and then that table as shards."
    )
