"""Scan the image IDs: count rows, NULLs and bytes, file by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import ENTRY_COLUMN, sum_of_hashes
from dedup_lib.session.sql_names import quoted
from dedup_lib.settings import Settings
from dedup_lib.tables.id_table import FileRows, IdFacts, IdTable, columns_to_copy
from dedup_lib.tables.image_table import ImageTable

# A row of a broadcast hash table takes the bytes of its key, and about this many more.
BROADCAST_ROW_OVERHEAD_BYTES = 48


@dataclass(frozen=True)
class IdSizes:
    """The size of an ID column: its rows, its NULLs, and the bytes of its IDs."""

    num_rows: int
    num_nulls: int
    id_bytes: int

    @property
    def broadcast_bytes(self) -> int:
        """The estimated size of the non-null IDs as a broadcast hash table, in bytes."""
        return broadcast_bytes(self.num_rows - self.num_nulls, self.id_bytes)


def hash_of(ids: DataFrame) -> int:
    """Return a hash of a frame's only column, an ID column; it does not depend on the order.

    The hash of two frames together is the sum of both.
    """
    return int(ids.agg(sum_of_hashes(quoted(ids.columns[0]))).collect()[0][0])


def hash_of_all(images: ImageTable, files: Sequence[FileRows]) -> int:
    """Return a hash of the IDs of an image table, as `hash_of` does.

    *Cost:* a scan of the ID table; nothing if the files were counted without it.
    """
    hashes = [file.hash_sum for file in files]
    known = [one for one in hashes if one is not None]
    return sum(known) if len(known) == len(hashes) else hash_of(images.table_ids)


def count_files(images: ImageTable) -> list[FileRows]:
    """Count rows and NULL IDs in each file of an image table, as `rows_by_file` does."""
    return collect_files(rows_by_file(images))


def collect_files(counted: DataFrame) -> list[FileRows]:
    """Collect what `rows_by_file` counted."""
    return [
        FileRows(**(row.asDict() | {"hash_sum": int(row["hash_sum"])})) for row in counted.collect()
    ]


def rows_by_file(images: ImageTable) -> DataFrame:
    """Count rows and NULL IDs in each file of an image table, lazily.

    Returns:
        One row per file that holds a row, with the fields of `FileRows`.

    *Cost:* one scan of the ID column; the shuffle has one row per file and task.
    """
    return _counted(_placed(images, IdFacts((images.id_column,), has_all=False)))


def read_ids(
    images: ImageTable, settings: Settings, materialise: Callable[[DataFrame], DataFrame]
) -> ImageTable:
    """Return the image table with an ID table: later steps read the IDs from there.

    Args:
        images: The pinned image table.
        settings: The run's settings.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    Raises:
        InputChangedError, TableFormatError: As for `scan_image_ids`.

    *Cost:* nothing if there is an ID table. Otherwise one scan of the IDs and of what the plan
    compares, which are written (also long texts, if --protect-where names them), and a pass over
    what was written.
    """
    if images.id_table is not None:
        return images
    facts = IdFacts(*columns_to_copy(settings))
    stored = materialise(_placed(images, facts))
    files = _checked(images, _counted(stored), settings, materialise)
    return replace(images, id_table=IdTable(stored, replace(facts, files=tuple(files))))


def scan_image_ids(
    images: ImageTable, settings: Settings, materialise: Callable[[DataFrame], DataFrame]
) -> list[FileRows]:
    """Count rows and NULL IDs in each file, and check that the scan read the pinned files.

    Args:
        images: The pinned image table.
        settings: The run's settings.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    Raises:
        InputChangedError: A file was replaced, deleted or added in the meantime.
        TableFormatError: The format would delete rows by its log, and the log has other counts.

    *Cost:* nothing if there is an ID table. Otherwise one scan of the image IDs; and the log, if
    the format deletes rows by its log.
    """
    if images.id_table is not None:
        return [file for file in images.id_table.facts.files if file.num_rows]
    return _checked(images, rows_by_file(images), settings, materialise)


def _checked(
    images: ImageTable,
    counted: DataFrame,
    settings: Settings,
    materialise: Callable[[DataFrame], DataFrame],
) -> list[FileRows]:
    table_format, moves_images = images.table_format, settings.method_traits.moves_images
    deletes_by_log = table_format.deletes_by_log_counts and not moves_images
    if deletes_by_log:
        counted = materialise(counted)
    files = collect_files(table_format.with_file_sizes(images, counted))
    table_format.check_all_read(images, files)
    if deletes_by_log:
        table_format.check_log(images, counted)
    return files


def _placed(images: ImageTable, facts: IdFacts) -> DataFrame:
    """Return the columns of an ID table, and `size_bytes` and `modified_ms` of each row's file."""
    frame, places = images.id_frame, images.id_places
    named = zip(facts.value_names, facts.columns, strict=True)
    return frame.select(
        *(F.col(quoted(column)).alias(name) for name, column in named),
        places.file_path.alias("file_path"),
        images.row_index,
        places.size_bytes.cast("bigint").alias("size_bytes"),
        places.modified_ms.cast("bigint").alias("modified_ms"),
    )


def _counted(placed: DataFrame) -> DataFrame:
    return placed.groupBy("file_path", "size_bytes", "modified_ms").agg(
        F.count(F.lit(1)).alias("num_rows"),
        F.count_if(F.isnull(ENTRY_COLUMN)).alias("num_nulls"),
        sum_of_id_bytes(F.col(ENTRY_COLUMN)),
        sum_of_hashes(ENTRY_COLUMN).alias("hash_sum"),
    )


def why_without_ids(images: ImageTable, image_ids: IdSizes) -> str | None:
    """Return a hint if half of the rows or more have no ID; a sentence without a full stop."""
    if image_ids.num_nulls * 2 < image_ids.num_rows or not image_ids.num_nulls:
        return None
    said = (
        f"{image_ids.num_nulls} of {image_ids.num_rows} rows of the image table have no ID (NULL "
        f"in column {images.id_column!r}), so no list can name them"
    )
    reason = images.table_format.why_no_ids
    return f"{said}. {reason}" if reason else said


def total(files: Sequence[FileRows]) -> IdSizes:
    """Add up the sizes of all files."""
    return IdSizes(
        num_rows=sum(file.num_rows for file in files),
        num_nulls=sum(file.num_nulls for file in files),
        id_bytes=sum(file.id_bytes for file in files),
    )


def broadcast_bytes(num_ids: int, id_bytes: int) -> int:
    """Estimate the size of IDs as a broadcast hash table, in bytes."""
    return id_bytes + num_ids * BROADCAST_ROW_OVERHEAD_BYTES


def sum_of_id_bytes(image_id: Column) -> Column:
    """Add up the bytes of IDs: the aggregate `id_bytes`, 0 if there are no IDs."""
    return F.coalesce(F.sum(F.octet_length(image_id.cast("string"))), F.lit(0)).alias("id_bytes")
