"""What scanning the image IDs finds: rows, NULLs and bytes, file by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import ENTRY_COLUMN
from dedup_lib.session.sql_names import quoted, values_of
from dedup_lib.tables.columns import metadata
from dedup_lib.tables.pinned import FileRows, PinnedTable

# A row of a broadcast hash table costs its key and about this much more.
BROADCAST_ROW_OVERHEAD_BYTES = 48


@dataclass(frozen=True)
class IdSizes:
    """How many rows an ID column has, how many of them NULL, and the bytes of the rest."""

    num_rows: int
    num_nulls: int
    id_bytes: int

    @property
    def broadcast_bytes(self) -> int:
        """About what the non-null IDs cost as a broadcast hash table, in bytes."""
        return broadcast_bytes(self.num_rows - self.num_nulls, self.id_bytes)


def candidates_of(images: PinnedTable, image_id_column: str) -> DataFrame:
    """Read where IDs are: `image_id`, `file_path`, `row_index` (NULL where a table has none)."""
    frame = images.frame
    row_index = metadata(frame, "row_index") if images.has_row_index else F.lit(None)
    return frame.select(
        values_of(image_id_column).alias(ENTRY_COLUMN),
        metadata(frame, "file_path").alias("file_path"),
        row_index.cast("bigint").alias("row_index"),
    )


def count_files(images: PinnedTable, image_id_column: str) -> list[FileRows]:
    """Count rows and NULL IDs in each file of an image table, as `rows_by_file` does."""
    return collect_files(rows_by_file(images, image_id_column))


def collect_files(counted: DataFrame) -> list[FileRows]:
    """Collect what `rows_by_file` counted."""
    return [FileRows(**row.asDict()) for row in counted.collect()]


def rows_by_file(images: PinnedTable, image_id_column: str) -> DataFrame:
    """Count rows and NULL IDs in each file of an image table, lazily.

    Returns:
        One row per file that holds a row, with the fields of `FileRows`.

    Cost: one scan of the ID column; no shuffle but of one row a file and task.
    """
    frame = images.frame
    image_id = F.col(quoted(image_id_column))
    modified = F.unix_millis(metadata(frame, "file_modification_time"))
    return (
        frame.select(
            metadata(frame, "file_path").alias("file_path"),
            metadata(frame, "file_size").alias("size_bytes"),
            modified.alias("modified_ms"),
            image_id.alias(ENTRY_COLUMN),
        )
        .groupBy("file_path", "size_bytes", "modified_ms")
        .agg(
            F.count(F.lit(1)).alias("num_rows"),
            F.count_if(F.isnull(ENTRY_COLUMN)).alias("num_nulls"),
            sum_of_id_bytes(F.col(ENTRY_COLUMN)),
        )
    )


def scan_image_ids(
    images: PinnedTable,
    image_id_column: str,
    *,
    moves_images: bool,
    materialise: Callable[[DataFrame], DataFrame],
) -> list[FileRows]:
    """Count rows and NULL IDs in each file, and check that these are the pinned files.

    Args:
        images: The pinned image table.
        image_id_column: Its ID column.
        moves_images: Whether the method writes new files; else the format deletes rows itself.
        materialise: Evaluates a frame once, and returns one that reads what came out.

    Raises:
        InputChangedError: A file was replaced, deleted or added meanwhile.
        TableFormatError: The format is to delete rows by its log, which says other row counts.

    *Cost:* one scan of the image IDs; where the format deletes by its log, that log.
    """
    table_format = images.table_format
    goes_by_log = table_format.deletes_by_log and not moves_images
    counted = rows_by_file(images, image_id_column)
    if goes_by_log:
        counted = materialise(counted)
    files = collect_files(counted)
    table_format.check_all_read(images, files)
    if goes_by_log:
        table_format.check_log(images, counted)
    return files


def total(files: Sequence[FileRows]) -> IdSizes:
    """Add up what the ID scan found."""
    return IdSizes(
        num_rows=sum(file.num_rows for file in files),
        num_nulls=sum(file.num_nulls for file in files),
        id_bytes=sum(file.id_bytes for file in files),
    )


def broadcast_bytes(num_ids: int, id_bytes: int) -> int:
    """Return about what IDs cost as a broadcast hash table, in bytes."""
    return id_bytes + num_ids * BROADCAST_ROW_OVERHEAD_BYTES


def sum_of_id_bytes(image_id: Column) -> Column:
    """Add up the bytes of IDs: the aggregate `id_bytes`, 0 where there are none."""
    return F.coalesce(F.sum(F.octet_length(image_id.cast("string"))), F.lit(0)).alias("id_bytes")
