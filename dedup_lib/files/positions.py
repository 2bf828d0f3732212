"""The positions of planned and of visible rows, gathered file by file for the engine `arrow`."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.plan.position_bitmaps import checksum, id_bytes, position_bitmaps

_BITMAPS = "array<struct<bucket: bigint, bitmap: binary, checksum: bigint>>"
_IDS = "array<binary>"


def gather(
    planned: DataFrame,
    tasks: DataFrame,
    num_partitions: int,
    *,
    keepers: bool = False,
    visible: DataFrame | None = None,
) -> DataFrame:
    """Collect the bitmaps of each file, in the partition of the file's group.

    Args:
        planned: The removal plan.
        tasks: `number`, `key`, `file_path` and other columns, one row per file.
        num_partitions: How many keys there are.
        keepers: Whether to collect also the surviving keepers.
        visible: The rows that the table shows: `image_id`, `file_path`, `row_index`; None for all.

    Returns:
        One row per file: `key`, `number`, `bitmaps` (array of struct `bucket`, `bitmap`,
        `checksum` of the planned IDs, and perhaps `keepers`; empty for a file that loses no rows),
        `visible` (such an array for the visible rows; NULL for all), and `planned_ids` (NULL).

    *Cost:* one shuffle of the positions and checksums of planned rows. With `visible`, the bitmaps
    of all rows are shuffled: a bit for each row, in two steps.
    """
    of_row = ["row_index", "checksum", *(["surviving_keeper_id"] if keepers else [])]
    summed = checksum(F.col("image_id"), planned.schema["image_id"].dataType)
    planned = planned.withColumn("checksum", summed)
    numbers = F.broadcast(tasks.select("file_path", "key", "number"))
    removed = planned.select("file_path", *of_row).join(numbers, "file_path")
    none = (F.lit(None).cast(planned.schema[name].dataType).alias(name) for name in of_row)
    positions = (
        removed.select("key", "number", *of_row)
        .unionByName(tasks.select("key", "number", *none))  # every file
        .repartition(num_partitions, "key")  # all later steps also group by it
    )
    fields = ["bucket", "bitmap", "checksum", *(["keepers"] if keepers else [])]
    marked = F.when(F.col("bucket").isNotNull(), F.struct(*fields))
    bitmaps = position_bitmaps(positions, "key", "number", keepers=keepers, checksums=True)
    if visible is None:
        gathered = bitmaps.groupBy("key", "number").agg(F.collect_list(marked).alias("bitmaps"))
        return gathered.withColumns({"visible": _none(_BITMAPS), "planned_ids": _none(_IDS)})
    summed = checksum(F.col("image_id"), visible.schema["image_id"].dataType).alias("checksum")
    rows = visible.select("file_path", "row_index", summed)
    shown = position_bitmaps(rows, "file_path", checksums=True).join(numbers, "file_path")
    parts = bitmaps.select("key", "number", marked.alias("planned")).unionByName(
        shown.select("key", "number", F.struct("bucket", "bitmap", "checksum").alias("shown")),
        allowMissingColumns=True,
    )
    return (
        parts.repartition(num_partitions, "key")
        .groupBy("key", "number")
        .agg(
            F.collect_list("planned").alias("bitmaps"),
            F.collect_list("shown").cast(_BITMAPS).alias("visible"),
        )
        .withColumn("planned_ids", _none(_IDS))
    )


def gather_ids(planned: DataFrame, tasks: DataFrame, num_partitions: int) -> DataFrame:
    """Collect the planned IDs of each file, as `gather` does, for a table without row indexes.

    Returns:
        The columns of `gather`: `bitmaps` and `visible` are NULL, and `planned_ids` has the bytes
        of the ID of each planned row.

    *Cost:* one shuffle of the planned IDs. A task holds those of one file.
    """
    numbers = F.broadcast(tasks.select("file_path", "key", "number"))
    image_id = id_bytes(F.col("image_id"), planned.schema["image_id"].dataType).alias("image_id")
    removed = planned.select("file_path", image_id).join(numbers, "file_path")
    return (
        removed.select("key", "number", "image_id")
        .unionByName(tasks.select("key", "number"), allowMissingColumns=True)  # every file
        .repartition(num_partitions, "key")
        .groupBy("key", "number")
        .agg(F.collect_list("image_id").alias("planned_ids"))
        .withColumns({"bitmaps": _none(_BITMAPS), "visible": _none(_BITMAPS)})
    )


def _none(of: str) -> Column:
    return F.lit(None).cast(of)
