"""Engine `spark`: read the images, drop the rows that the plan names, write the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame, DataFrameWriter
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StructType

from dedup_lib.errors import ColumnTypeError, UnsupportedError
from dedup_lib.id_scan import FileRows
from dedup_lib.removal_plan import (
    BROADCAST_LIMIT_BYTES,
    PlanCounts,
)
from dedup_lib.settings import Strategy
from dedup_lib.sql_names import quoted
from dedup_lib.storage import ColumnChunkSizes
from dedup_lib.tables import PinnedTable, metadata

ChosenStrategy = Literal["broadcast-ids", "row-positions"]
ROWS_PER_BITMAP = 32_768
# Without row indexes there is no other way than a broadcast; past this it can't work either.
BROADCAST_MOST_BYTES = 8 * BROADCAST_LIMIT_BYTES
_READ_BATCH_BYTES = 32 * 1024**2
_ROW_GROUP_BYTES = 64 * 1024**2
_CHECK_EVERY_BYTES = 4 * 1024**2
_LEAF = re.compile(
    r"(?P<repetition>required|optional|repeated) (?P<physical>\w+)(?:\(\d+\))? "
    r"(?P<name>.+?)(?: \((?P<logical>[A-Z_0-9]+(?:\([^()]*\))?)\))?(?: = \d+)?;"
)
_GROUP = re.compile(
    r"(?:required|optional|repeated) group (?P<name>.+?)(?: \([A-Z_]+\))?(?: = \d+)? \{"
)
_KEPT_LOGICAL = re.compile(
    r"STRING|UTF8|DATE|DECIMAL(\(.*\))?|INTEGER\((8|16|32|64),true\)|INT_(8|16|32|64)"
    r"|TIMESTAMP\(MICROS,(true|false)\)|TIMESTAMP\(MILLIS,true\)|TIMESTAMP_MI(CRO|LLI)S"
)
_SPARK_CODECS = frozenset({"uncompressed", "snappy", "gzip", "zstd", "lz4_raw"})
# A Parquet type of instants, and the value of spark.sql.parquet.outputTimestampType for it.
_INSTANTS = {
    "INT96": "INT96",
    "TIMESTAMP(MICROS,true)": "TIMESTAMP_MICROS",
    "TIMESTAMP_MICROS": "TIMESTAMP_MICROS",
    "TIMESTAMP(MILLIS,true)": "TIMESTAMP_MILLIS",
    "TIMESTAMP_MILLIS": "TIMESTAMP_MILLIS",
}

# A value of each type that may be `required`; it is never seen, since no value is NULL there.
_ZEROS = {
    "string": "''",
    "binary": "X''",
    "boolean": "false",
    "byte": "0Y",
    "short": "0S",
    "integer": "0",
    "long": "0L",
    "float": "0F",
    "double": "0D",
    "date": "DATE'1970-01-01'",
    "timestamp": "TIMESTAMP'1970-01-01 00:00:00'",
    "timestamp_ntz": "TIMESTAMP_NTZ'1970-01-01 00:00:00'",
}


@dataclass(frozen=True)
class ImageWeights:
    """What the images weigh, for the reader and the writer.

    Attributes:
        row_bytes: Bytes of a row in the heaviest file, on average there.
        codec: The codec of the input, or `uncompressed` where compressing gained nothing.
    """

    row_bytes: int
    codec: str | None


def choose_strategy(
    strategy: Strategy, counts: PlanCounts, *, has_row_index: bool
) -> ChosenStrategy:
    """Choose how rows are found: by broadcast IDs while they are small, else by position.

    Args:
        strategy: What was asked for; `auto` takes `broadcast-ids` while the matched IDs cost
            at most `BROADCAST_LIMIT_BYTES` as a broadcast.
        counts: What the plan holds.
        has_row_index: Whether the table has row indexes to go by.

    Raises:
        UnsupportedError: Positions are wanted, or needed, and the table has none.
    """
    if strategy == "row-positions" and not has_row_index:
        raise UnsupportedError(
            "--strategy row-positions needs row indexes, which Delta gives only for tables "
            "with deletion vectors or row tracking: use broadcast-ids, or set "
            "delta.enableDeletionVectors on the table."
        )
    if strategy != "auto":
        return strategy
    cost = counts.broadcast_bytes
    if cost <= BROADCAST_LIMIT_BYTES:
        return "broadcast-ids"
    if has_row_index:
        return "row-positions"
    if cost <= BROADCAST_MOST_BYTES:
        return "broadcast-ids"
    raise UnsupportedError(
        f"{counts.matched_ids} IDs are too many to broadcast, and this Delta table has no row "
        "indexes: set delta.enableDeletionVectors on it, then run again."
    )


def keep(
    images: PinnedTable, image_id_column: str, planned: DataFrame, strategy: ChosenStrategy
) -> DataFrame:
    """Drop the planned rows, by a strategy; both give the same rows."""
    if strategy == "broadcast-ids":
        removed_ids = planned.select("image_id").distinct()
        kept = keep_by_ids(images.frame, image_id_column, removed_ids)
    else:
        kept = keep_by_positions(images.frame, position_bitmaps(planned))
    return _with_required(kept, images.file_schemas)


def keep_by_ids(images: DataFrame, image_id_column: str, removed_ids: DataFrame) -> DataFrame:
    """Drop the rows whose ID is among some IDs.

    Args:
        images: The image table.
        image_id_column: Its ID column.
        removed_ids: One row per ID, in its one column, of the same type.

    Returns:
        The rows that stay, with the same columns.

    *Nulls:* rows with a NULL ID stay.
    *Cost:* the IDs are broadcast; the images are not shuffled.
    """
    (name,) = _free_names(images.columns, ("__dedup_removed_id",))
    removed = F.broadcast(removed_ids.toDF(name))
    return images.join(removed, F.col(quoted(image_id_column)) == F.col(name), "left_anti")


def position_bitmaps(planned: DataFrame) -> DataFrame:
    """Turn a plan into bitmaps of row positions.

    Returns:
        One row per file and 32,768 rows of it that lose any: `file_path`, `bucket` (row index
        divided by 32,768), `bitmap` (bit n of it: row n of the bucket goes; trimmed after the
        last byte that is set, up to 4 KB).

    *Cost:* the plan's positions are shuffled.
    """
    position = (F.col("row_index") % ROWS_PER_BITMAP).alias("position")
    bucket = F.floor(F.col("row_index") / ROWS_PER_BITMAP).alias("bucket")
    return (
        planned.select("file_path", bucket, position)
        .groupBy("file_path", "bucket")
        .agg(F.bitmap_construct_agg("position").alias("bits"), F.max("position").alias("last"))
        .select(
            "file_path",
            "bucket",
            F.substring("bits", F.lit(1), (F.floor(F.col("last") / 8) + 1).cast("int")).alias(
                "bitmap"
            ),
        )
    )


def keep_by_positions(images: DataFrame, bitmaps: DataFrame) -> DataFrame:
    """Drop the rows whose position is set in a bitmap.

    Args:
        images: The image table, read from files with row indexes.
        bitmaps: As `position_bitmaps` makes them.

    Returns:
        The rows that stay, with the same columns.

    *Cost:* the bitmaps are broadcast, one bit a row; the images are not shuffled.
    """
    columns = images.columns
    path, index = _free_names(columns, ("__dedup_file_path", "__dedup_row_index"))
    positioned = images.withColumns(
        {path: metadata(images, "file_path"), index: metadata(images, "row_index")}
    )
    renamed = bitmaps.select(
        F.col("file_path").alias(f"{path}_of_bitmap"),
        F.col("bucket").alias(f"{index}_bucket"),
        F.col("bitmap").alias(f"{index}_bitmap"),
    )
    same = (F.col(path) == F.col(f"{path}_of_bitmap")) & (
        F.floor(F.col(index) / ROWS_PER_BITMAP) == F.col(f"{index}_bucket")
    )
    # Past the end of a trimmed bitmap the bit is NULL, as where there is no bitmap.
    goes = F.coalesce(_bit(F.col(f"{index}_bitmap"), F.col(index) % ROWS_PER_BITMAP), F.lit(0))
    return (
        positioned.join(F.broadcast(renamed), same, "left")
        .where(goes == 0)
        .select(*(quoted(name) for name in columns))
    )


def binary_columns(schema: StructType) -> list[str]:
    """Return the dotted Parquet paths of all binary leaf columns: the images are among them."""
    return [path for field in schema for path in _binary_leaves(field.dataType, field.name)]


def weigh(
    files: Sequence[FileRows], sample: Iterable[ColumnChunkSizes], images: Sequence[str]
) -> ImageWeights:
    """Work out what the images weigh, and whether compressing them gained anything.

    Args:
        files: Rows and sizes of the files.
        sample: Column sizes from some of the footers.
        images: The binary leaf columns.
    """
    heaviest = max((file.size_bytes / file.num_rows for file in files), default=1.0)
    chunks = list(sample)
    codecs = sorted({chunk.codec for chunk in chunks})
    image_chunks = [chunk for chunk in chunks if chunk.column in images]
    compressed = sum(chunk.compressed_bytes for chunk in image_chunks)
    uncompressed = sum(chunk.uncompressed_bytes for chunk in image_chunks)
    all_bytes = sum(chunk.compressed_bytes for chunk in chunks)
    dominant = compressed > 0.9 * all_bytes
    if dominant and compressed >= 0.97 * uncompressed:
        return ImageWeights(int(heaviest) + 1, "uncompressed")
    codec = codecs[0] if len(codecs) == 1 and codecs[0] in _SPARK_CODECS else None
    return ImageWeights(int(heaviest) + 1, codec)


def rewrite_settings(
    weights: ImageWeights, images: Sequence[str], file_schemas: Sequence[str]
) -> dict[str, str]:
    """Return the session settings under which images are read and written in bounded memory.

    Delta ignores Parquet's writer options; the same keys as session settings work for both.
    """
    rows_per_check = str(max(1, min(100, _CHECK_EVERY_BYTES // weights.row_bytes)))
    rows_per_batch = max(1, min(4096, _READ_BATCH_BYTES // weights.row_bytes))
    settings = {
        "spark.sql.parquet.columnarReaderBatchSize": str(rows_per_batch),
        "spark.sql.parquet.outputTimestampType": _timestamp_type(file_schemas),
        "spark.sql.parquet.writeLegacyFormat": "false",
        # A partitioned write would sort whole rows, images and all.
        "spark.sql.maxConcurrentOutputFileWriters": "8",
        "parquet.block.size": str(_ROW_GROUP_BYTES),
        "parquet.page.size.row.check.min": rows_per_check,
        "parquet.page.size.row.check.max": rows_per_check,
        "parquet.block.size.row.check.min": rows_per_check,
        "parquet.block.size.row.check.max": rows_per_check,
    }
    settings |= {f"parquet.enable.dictionary#{column}": "false" for column in images}
    if weights.codec is not None:
        settings["spark.sql.parquet.compression.codec"] = weights.codec
    return settings


def check_types_are_kept(images: PinnedTable) -> None:
    """Refuse Parquet types that Spark would change on the way from file to file.

    Raises:
        ColumnTypeError: A column has such a type.
    """
    for schema in images.file_schemas:
        for path, physical, logical in _leaves(schema):
            kind = logical or physical
            if not _is_kept(physical, logical):
                raise ColumnTypeError(
                    f"image table {images.location!r}: column {path!r} has the Parquet "
                    f"type {kind}, which Spark would write back as another one. Cast it where "
                    "the table is made."
                )
    if len(_instants(images.file_schemas)) > 1:
        raise ColumnTypeError(
            f"image table {images.location!r} has timestamps of several Parquet types, which "
            "Spark would write back as one. Cast them where the table is made."
        )


def writer(frame: DataFrame, partition_columns: Sequence[str]) -> DataFrameWriter:
    """Return a writer whose partitioning is given, and which no cluster default makes unsafe."""
    return (
        frame.write.partitionBy(*partition_columns)
        .option("partitionOverwriteMode", "static")
        # Readers wait for _SUCCESS: it must not be there before the verification.
        .option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    )


def _bit(bitmap: Column, position: Column) -> Column:
    byte = F.substring(bitmap, (F.floor(position / 8) + 1).cast("int"), F.lit(1))
    return F.getbit(F.conv(F.hex(byte), 16, 10).cast("bigint"), (position % 8).cast("int"))


def _with_required(frame: DataFrame, file_schemas: Sequence[str]) -> DataFrame:
    """Make columns non-null that are `required` in every file: Spark reads all as nullable."""
    if not file_schemas:
        return frame
    required = set.intersection(*(_required_columns(schema) for schema in file_schemas))
    columns = {
        field.name: F.coalesce(quoted(field.name), F.expr(_ZEROS[field.dataType.typeName()]))
        for field in frame.schema
        if field.name in required and field.dataType.typeName() in _ZEROS
    }
    return frame.withColumns(columns) if columns else frame


def _required_columns(schema: str) -> set[str]:
    top_level = (line[2:] for line in schema.splitlines() if re.match(r" {2}\S", line))
    leaves = [leaf for line in top_level if (leaf := _LEAF.fullmatch(line))]
    return {leaf["name"] for leaf in leaves if leaf["repetition"] == "required"}


def _binary_leaves(data_type: DataType, path: str) -> list[str]:
    if isinstance(data_type, BinaryType):
        return [path]
    if isinstance(data_type, StructType):
        return [
            leaf
            for field in data_type
            for leaf in _binary_leaves(field.dataType, f"{path}.{field.name}")
        ]
    if isinstance(data_type, ArrayType):
        return _binary_leaves(data_type.elementType, f"{path}.list.element")
    if isinstance(data_type, MapType):
        return _binary_leaves(data_type.valueType, f"{path}.key_value.value")
    return []


def _free_names(columns: Sequence[str], wanted: Sequence[str]) -> list[str]:
    taken = tuple(column.lower() for column in columns)
    prefix = ""
    while any(column.startswith((prefix + name).lower()) for name in wanted for column in taken):
        prefix += "_"
    return [prefix + name for name in wanted]


def _is_kept(physical: str, logical: str | None) -> bool:
    if physical == "fixed_len_byte_array":
        return logical is not None and logical.startswith("DECIMAL")
    return logical is None or _KEPT_LOGICAL.fullmatch(logical) is not None


def _leaves(schema: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield dotted path, physical and logical type of each leaf of a Parquet schema's text."""
    path: list[str] = []
    for line in schema.splitlines()[1:]:
        text = line.strip()
        if group := _GROUP.fullmatch(text):
            path.append(group["name"])
        elif leaf := _LEAF.fullmatch(text):
            yield ".".join([*path, leaf["name"]]), leaf["physical"], leaf["logical"]
        elif text == "}" and path:
            path.pop()


def _instants(file_schemas: Sequence[str]) -> set[str]:
    found = set()
    for schema in file_schemas:
        for _, physical, logical in _leaves(schema):
            kind = "INT96" if physical == "int96" else logical
            if kind in _INSTANTS:
                found.add(_INSTANTS[kind])
    return found


def _timestamp_type(file_schemas: Sequence[str]) -> str:
    return next(iter(_instants(file_schemas)), "TIMESTAMP_MICROS")
