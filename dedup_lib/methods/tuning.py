"""Measure the sizes of images, and choose Spark's settings for reading and writing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StructType

from dedup_lib.errors import InputChangedError, StorageError
from dedup_lib.methods.gpu import SPLIT_BYTES, image_batch_settings, writable_codec
from dedup_lib.session.session import Session
from dedup_lib.session.storage import ColumnChunkSizes, FileInfo, ParquetSchema
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.kept_types import timestamp_type
from dedup_lib.tables.pinned import PinnedTable

_READ_BATCH_BYTES = 8 * 1024**2
# Java's G1 can't move a buffer of half a heap region, which is 512 KB or more. With such buffers it
# would find no space for a page although much of the heap is free.
_READ_BUFFER_BYTES = 400 * 1024
_ROW_GROUP_BYTES = 64 * 1024**2
_CHECK_EVERY_BYTES = 4 * 1024**2
_SAMPLED_FILES = 8
_CODEC = "spark.sql.parquet.compression.codec"
TARGET_FILE_BYTES = 256 * 1024**2
_SPARK_CODECS = frozenset({"uncompressed", "snappy", "gzip", "zstd", "lz4_raw"})


@dataclass(frozen=True)
class ImageWeights:
    """The size of the images and their codec, for the reader and the writer.

    Attributes:
        row_bytes: The mean bytes per row, in the file with the largest mean.
        codec: The codec of the input; `uncompressed` if compression gained nothing; None if the
            codecs differ or Spark does not write it.
    """

    row_bytes: int
    codec: str | None


def settings_for(
    session: Session,
    images: PinnedTable,
    files: Sequence[FileRows],
    *,
    is_on_gpu: bool = False,
) -> dict[str, str]:
    """Choose the session settings for an image table by the sizes of its images.

    Args:
        session: The session, with its file systems.
        images: The table.
        files: The rows and sizes of its files.
        is_on_gpu: Whether a GPU reads and writes the images.

    Raises:
        InputChangedError: A file can't be read any more; it was readable when the run was planned.

    *Cost:* the footers of the largest files, or copies of them; eight at most.
    """
    binary = binary_columns(images.frame.schema)
    try:
        sample = _sample(images, files)
        sizes = images.table_format.column_sizes(session, sample)
        weights = weigh(files, sizes, binary)
    except StorageError as error:
        raise InputChangedError(
            f"a file of image table {images.location!r} was changed or deleted during the run. "
            f"Run again when no one writes there: {error}"
        ) from error
    settings = rewrite_settings(weights, binary, images.file_schemas)
    return settings | gpu_settings(weights) if is_on_gpu else settings


def _sample(images: PinnedTable, files: Sequence[FileRows]) -> Sequence[FileInfo]:
    """Choose files with the footers of the largest files, or copies of large files' footers."""
    if images.id_table is not None and (copies := images.id_table.facts.footer_copies):
        return list(copies.values())[:_SAMPLED_FILES]
    largest = sorted(files, key=lambda file: file.size_bytes)[-_SAMPLED_FILES:]
    path_of = partial(images.table_format.file_path_of, images)
    return [
        FileInfo(path_of(file.file_path), file.size_bytes, file.modified_ms) for file in largest
    ]


def split_settings(
    target_file_bytes: int, kept_fraction: float, *, is_on_gpu: bool = False
) -> dict[str, str]:
    """Return the settings by which the rows that a task keeps fill one output file.

    A task on a GPU takes no more input than the GPU should hold, even if its files become smaller.
    """
    split_bytes = int(target_file_bytes / max(kept_fraction, 0.01))
    if is_on_gpu:
        split_bytes = min(split_bytes, SPLIT_BYTES)
    return {"spark.sql.files.maxPartitionBytes": str(split_bytes)}


def binary_columns(schema: StructType) -> list[str]:
    """Return the dotted Parquet paths of all binary leaf columns: the images are among them."""
    return [path for field in schema for path in _binary_leaves(field.dataType, field.name)]


def weigh(
    files: Sequence[FileRows], sample: Iterable[ColumnChunkSizes], images: Sequence[str]
) -> ImageWeights:
    """Compute the size of the images, and whether compression gained anything.

    Args:
        files: The rows and sizes of the files.
        sample: The column sizes from some of the footers.
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
    weights: ImageWeights, images: Sequence[str], file_schemas: Sequence[ParquetSchema]
) -> dict[str, str]:
    """Return the session settings that bound the memory for reading and writing images.

    Delta ignores Parquet's writer options. The same keys as session settings work for both.
    """
    rows_per_check = str(max(1, min(100, _CHECK_EVERY_BYTES // weights.row_bytes)))
    rows_per_batch = max(1, min(4096, _READ_BATCH_BYTES // weights.row_bytes))
    settings = {
        "spark.sql.parquet.columnarReaderBatchSize": str(rows_per_batch),
        "parquet.read.allocation.size": str(_READ_BUFFER_BYTES),
        "spark.sql.parquet.outputTimestampType": timestamp_type(file_schemas),
        "spark.sql.parquet.writeLegacyFormat": "false",
        # Otherwise a partitioned write would sort whole rows with their images.
        "spark.sql.maxConcurrentOutputFileWriters": "8",
        "parquet.block.size": str(_ROW_GROUP_BYTES),
        "parquet.page.size.row.check.min": rows_per_check,
        "parquet.page.size.row.check.max": rows_per_check,
        "parquet.block.size.row.check.min": rows_per_check,
        "parquet.block.size.row.check.max": rows_per_check,
    }
    for column in images:
        settings[f"parquet.enable.dictionary#{column}"] = "false"
        settings[f"parquet.column.statistics.enabled#{column}"] = "false"
    if weights.codec is not None:
        settings[_CODEC] = weights.codec
    return settings


def gpu_settings(weights: ImageWeights) -> dict[str, str]:
    """Return more settings for a GPU than `rewrite_settings`: batch limits, and a possible codec.

    If `weights` has no codec, the session's codec stays.
    """
    return {
        **image_batch_settings(weights.row_bytes, _ROW_GROUP_BYTES),
        **({} if weights.codec is None else {_CODEC: writable_codec(weights.codec)}),
    }


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
