"""What scanning the image IDs finds: rows, NULLs and bytes, file by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import InputChangedError
from dedup_lib.removal_list import ENTRY_COLUMN
from dedup_lib.sql_names import quoted
from dedup_lib.tables import PinnedTable, metadata
from dedup_lib.uris import decoded

# A row of a broadcast hash table costs its key and about this much more.
BROADCAST_ROW_OVERHEAD_BYTES = 48


# A scan of IDs reads some thousandth of what its files weigh: tasks of Spark's usual 128 MB would
# be many and empty. Spark still makes one a core, where the table is smaller than this times cores.
SCAN_SETTINGS = {"spark.sql.files.maxPartitionBytes": str(16 * 1024**3)}


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


@dataclass(frozen=True)
class FileRows:
    """What the ID scan found in one file: path as `_metadata` spells it, sizes and counts."""

    file_path: str
    size_bytes: int
    modified_ms: int
    num_rows: int
    num_nulls: int
    id_bytes: int


def candidates_of(images: PinnedTable, image_id_column: str) -> DataFrame:
    """Read where IDs are: `image_id`, `file_path`, `row_index` (NULL where a table has none)."""
    frame = images.frame
    row_index = metadata(frame, "row_index") if images.has_row_index else F.lit(None)
    return frame.select(
        F.col(quoted(image_id_column)).alias(ENTRY_COLUMN),
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


def check_every_file_was_read(images: PinnedTable, counted: Sequence[FileRows]) -> None:
    """Check that the ID scan read the pinned files, as they were pinned.

    Args:
        images: The pinned table; nothing is checked for Delta, whose log pins it.
        counted: What the scan found.

    Raises:
        InputChangedError: A file was replaced, deleted or added meanwhile.
    """
    if images.format == "delta":
        return
    empty = {file.path for file in images.empty_files}
    pinned = {file.path: (file.size_bytes, file.modified_ms) for file in images.files}
    read = {decoded(file.file_path): (file.size_bytes, file.modified_ms) for file in counted}
    for path in sorted(pinned.keys() | read.keys()):
        if path not in empty and pinned.get(path) != read.get(path):
            raise InputChangedError(
                f"file {path!r} of the image table was changed, deleted or added while the run "
                "was planning. Run again when no one writes there."
            )


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
