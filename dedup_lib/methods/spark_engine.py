"""Engine `spark`: read the images, remove or mark the planned rows, and write the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame, DataFrameWriter
from pyspark.sql import functions as F

from dedup_lib.errors import UnsupportedError
from dedup_lib.executor.annotated_rows import IS_DUPLICATE, KEPT_IMAGE_ID
from dedup_lib.plan.id_join import BROADCAST_LIMIT_BYTES
from dedup_lib.plan.position_bitmaps import ROWS_PER_BITMAP, bucket_of, position_bitmaps
from dedup_lib.plan.removal_plan import PlanCounts
from dedup_lib.session.sql_names import quoted, values_of
from dedup_lib.session.storage import ParquetSchema
from dedup_lib.settings import Action, Strategy
from dedup_lib.tables.columns import RowPlaces
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.schema import required_columns

ADDED_COLUMNS = (IS_DUPLICATE, KEPT_IMAGE_ID)
ChosenStrategy = Literal["broadcast-ids", "row-positions"]
# Without row indexes only a broadcast can work. A larger broadcast than this can't work.
BROADCAST_MOST_BYTES = 8 * BROADCAST_LIMIT_BYTES
# A value for each type that can be `required`. It never appears: such a column has no NULL.
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
    "timestamp": "TIMESTAMP_LTZ'1970-01-01 00:00:00'",
    "timestamp_ntz": "TIMESTAMP_NTZ'1970-01-01 00:00:00'",
}


@dataclass(frozen=True)
class Tuning:
    """How the `spark` engine will do a rewrite.

    Attributes:
        strategy: How the engine finds the planned rows.
        options: The writer's options.
        settings: The session's settings during the rewrite.
    """

    strategy: ChosenStrategy
    options: Mapping[str, str]
    settings: Mapping[str, str]


def choose_strategy(
    strategy: Strategy,
    counts: PlanCounts,
    *,
    has_row_index: bool,
    action: Action = "remove",
    is_on_gpu: bool = False,
) -> ChosenStrategy:
    """Choose how to find the planned rows: by broadcast IDs if they are small, else by position.

    Args:
        strategy: The strategy in the settings. `auto` takes `broadcast-ids` if the matched IDs
            take at most `BROADCAST_LIMIT_BYTES` as a broadcast.
        counts: The counts of the plan.
        has_row_index: Whether the table has row indexes.
        action: The action; `annotate` needs the IDs, each with its keeper.
        is_on_gpu: Whether a GPU does the rewrite. With row positions the CPU would read all images,
            so a GPU takes `broadcast-ids` as long as a broadcast can work at all.

    Raises:
        UnsupportedError: Row positions are requested or needed, but the table has no row indexes;
            or IDs are needed, but there are too many.
    """
    if strategy == "row-positions" and not has_row_index:
        raise UnsupportedError(
            "--strategy row-positions needs row indexes, which Delta gives only for tables "
            "with deletion vectors or row tracking: use broadcast-ids, or set "
            "delta.enableDeletionVectors on the table."
        )
    if strategy != "auto" and action != "annotate":
        return strategy
    cost = counts.broadcast_bytes * (
        2 if action == "annotate" else 1
    )  # plus the same number of keepers
    if cost <= broadcast_limit_bytes(is_on_gpu=is_on_gpu):
        return "broadcast-ids"
    if has_row_index and action != "annotate":
        return "row-positions"
    if cost <= BROADCAST_MOST_BYTES:
        return "broadcast-ids"
    if action == "annotate":
        raise UnsupportedError(
            f"{counts.matched_ids} IDs and their keepers are too many to broadcast for --action "
            "annotate: --engine arrow (from Parquet to Parquet) has no such limit."
        )
    raise UnsupportedError(
        f"{counts.matched_ids} IDs are too many to broadcast, and this Delta table has no row "
        "indexes: set delta.enableDeletionVectors on it, then run again."
    )


def broadcast_limit_bytes(*, is_on_gpu: bool) -> int:
    """Return the largest size of IDs for a broadcast where another strategy is also possible."""
    return BROADCAST_MOST_BYTES if is_on_gpu else BROADCAST_LIMIT_BYTES


def apply(
    images: ImageTable,
    planned: DataFrame,
    strategy: ChosenStrategy,
    action: Action = "remove",
) -> DataFrame:
    """Remove the planned rows, keep only them, or mark them; both strategies give the same rows."""
    if action == "annotate":
        rows = annotated(images.frame, images.id_column, planned)
    elif strategy == "broadcast-ids":
        planned_ids = planned.select("image_id").distinct()
        rows = keep_by_ids(images.frame, images.id_column, planned_ids, drops=action == "remove")
    else:
        # Else each task would make a bitmap of 4 KB for each bucket that it meets.
        positions = planned.select("file_path", "row_index")
        positions = positions.repartition("file_path", bucket_of(F.col("row_index")))
        bitmaps = position_bitmaps(positions, "file_path")
        rows = keep_by_positions(images.frame, bitmaps, images.places, drops=action == "remove")
    return _with_required(rows, images.file_schemas)


def check_added_columns(images: ImageTable) -> None:
    """Check that an image table has none of the columns that --action annotate adds."""
    taken = {name.lower() for name in images.frame.columns}
    for name in ADDED_COLUMNS:
        if name in taken:
            raise UnsupportedError(
                f"--action annotate adds the columns {' and '.join(ADDED_COLUMNS)}, and image "
                f"table {images.location!r} has {name!r} already: rename that column."
            )


def annotated(images: DataFrame, image_id_column: str, planned: DataFrame) -> DataFrame:
    """Mark the rows whose ID is in the plan.

    Args:
        images: The image table. It must not have the added columns.
        image_id_column: Its ID column.
        planned: The removal plan.

    Returns:
        All rows, with `is_duplicate` (boolean, never NULL) and `kept_image_id` (of the ID's type).
        The latter is the surviving keeper. It is NULL if no keeper is known, and in rows that stay.

    *Nulls:* rows with a NULL ID are not duplicates.
    *Cost:* IDs and keepers are broadcast; the images are not shuffled.
    """
    (name,) = _free_names(images.columns, ("__dedup_planned_id",))
    marks = planned.select("image_id", "surviving_keeper_id").distinct()
    marks = F.broadcast(marks.toDF(name, KEPT_IMAGE_ID))
    marked = images.join(marks, F.col(quoted(image_id_column)) == F.col(name), "left")
    return marked.select(
        *(quoted(column) for column in images.columns),
        F.col(name).isNotNull().alias(IS_DUPLICATE),
        KEPT_IMAGE_ID,
    )


def keep_by_ids(
    images: DataFrame, image_id_column: str, planned_ids: DataFrame, *, drops: bool = True
) -> DataFrame:
    """Remove the rows whose ID is among the planned IDs, or keep only those rows.

    Args:
        images: The image table.
        image_id_column: Its ID column.
        planned_ids: A single column, of the same type, with one row per ID.
        drops: Whether to remove these rows; if False, only these rows stay.

    Returns:
        The rows that stay, with the same columns.

    *Nulls:* a NULL ID is never among the planned IDs.
    *Cost:* the IDs are broadcast; the images are not shuffled.
    """
    (name,) = _free_names(images.columns, ("__dedup_planned_id",))
    planned = F.broadcast(planned_ids.toDF(name))
    same = values_of(image_id_column) == F.col(name)
    return images.join(planned, same, "left_anti" if drops else "left_semi")


def keep_by_positions(
    images: DataFrame, bitmaps: DataFrame, places: RowPlaces, *, drops: bool = True
) -> DataFrame:
    """Remove the rows whose position is set in a bitmap, or keep only those rows.

    Args:
        images: The image table, read from files with row indexes.
        bitmaps: The result of `position_bitmaps`.
        places: Where each row of the table is.
        drops: Whether to remove these rows; if False, only these rows stay.

    Returns:
        The rows that stay, with the same columns.

    *Cost:* the bitmaps are broadcast, one bit per row; the images are not shuffled.
    """
    columns = images.columns
    path, index = _free_names(columns, ("__dedup_file_path", "__dedup_row_index"))
    positioned = images.withColumns({path: places.file_path, index: places.row_index})
    renamed = bitmaps.select(
        F.col("file_path").alias(f"{path}_of_bitmap"),
        F.col("bucket").alias(f"{index}_bucket"),
        F.col("bitmap").alias(f"{index}_bitmap"),
    )
    same = (F.col(path) == F.col(f"{path}_of_bitmap")) & (
        bucket_of(F.col(index)) == F.col(f"{index}_bucket")
    )
    # The bit is NULL past the end of a trimmed bitmap, and if there is no bitmap.
    bit = F.coalesce(_bit(F.col(f"{index}_bitmap"), F.col(index) % ROWS_PER_BITMAP), F.lit(0))
    return (
        positioned.join(F.broadcast(renamed), same, "left")
        .where(bit == (0 if drops else 1))
        .select(*(quoted(name) for name in columns))
    )


def writer(frame: DataFrame, partition_columns: Sequence[str]) -> DataFrameWriter:
    """Return a writer with the given partitioning, and safe options instead of a cluster's."""
    return (
        frame.write.partitionBy(*partition_columns)
        .option("partitionOverwriteMode", "static")
        # Readers wait for _SUCCESS, so it must not exist before the verification.
        .option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    )


def _bit(bitmap: Column, position: Column) -> Column:
    byte = F.substring(bitmap, (F.floor(position / 8) + 1).cast("int"), F.lit(1))
    return F.getbit(F.conv(F.hex(byte), 16, 10).cast("bigint"), (position % 8).cast("int"))


def _with_required(frame: DataFrame, file_schemas: Sequence[ParquetSchema]) -> DataFrame:
    """Make columns non-null if every file has them as `required`; Spark reads all as nullable."""
    if not file_schemas:
        return frame
    required = set.intersection(*(required_columns(schema) for schema in file_schemas))
    columns = {
        field.name: F.coalesce(quoted(field.name), F.expr(_ZEROS[field.dataType.typeName()]))
        for field in frame.schema
        if field.name in required and field.dataType.typeName() in _ZEROS
    }
    return frame.withColumns(columns) if columns else frame


def _free_names(columns: Sequence[str], wanted: Sequence[str]) -> list[str]:
    taken = tuple(column.lower() for column in columns)
    prefix = ""
    while any(column.startswith((prefix + name).lower()) for name in wanted for column in taken):
        prefix += "_"
    return [prefix + name for name in wanted]
