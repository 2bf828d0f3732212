"""Store the rows to remove as bitmaps: one bit per row, instead of some hundred bytes per ID."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, StringType

ROWS_PER_BITMAP = 32_768


def checksum(image_id: Column, data_type: DataType) -> Column:
    """Return the CRC-32 of an ID as `bigint`: of its bytes, or of its digits if it is a number."""
    return F.crc32(id_bytes(image_id, data_type))


def id_bytes(image_id: Column, data_type: DataType) -> Column:
    """Return the bytes of an ID; of a number the bytes of its digits."""
    is_binary = isinstance(data_type, BinaryType)
    return image_id if is_binary else image_id.cast("string").cast("binary")


def bucket_of(row_index: Column) -> Column:
    """Return the number of a row's bucket: its row index divided by 32,768."""
    return F.floor(row_index / ROWS_PER_BITMAP)


def position_bitmaps(
    planned: DataFrame, *by: str, keepers: bool = False, checksums: bool = False
) -> DataFrame:
    """Turn positions into bitmaps.

    Args:
        planned: One row per row to remove: `row_index`, and the columns of `by`.
        by: The columns that identify the file: `file_path` in a plan.
        keepers: Whether to also gather `surviving_keeper_id`.
        checksums: Whether to also add up `checksum`, a column of `planned`.

    Returns:
        One row per bucket of 32,768 rows of a file, if it has rows to remove: the columns of `by`;
        `bucket` (row index divided by 32,768); `bitmap` (if bit n is set, row n of the bucket is
        removed; trimmed after the last byte that is set, up to 4 KB). With `keepers` also the
        column `keepers`: array of struct `position`, `keeper_id`, in any order, only for rows with
        a keeper; strings as their bytes. With `checksums` also their sum, `checksum`.

    *Nulls:* a NULL row index gives a row with a NULL bucket and a meaningless bitmap.
    *Cost:* the positions are shuffled, unless they are partitioned by some of `by` and `bucket`.
    """
    bucket = bucket_of(F.col("row_index")).alias("bucket")
    position = (F.col("row_index") % ROWS_PER_BITMAP).alias("position")
    num_bytes = (F.floor(F.col("last") / 8) + 1).cast("int")
    bitmap = F.substring("bits", F.lit(1), num_bytes).alias("bitmap")
    bits = [F.bitmap_construct_agg("position").alias("bits"), F.max("position").alias("last")]
    sums = ["checksum"] if checksums else []
    bits += [F.sum(name).alias(name) for name in sums]
    if not keepers:
        grouped = planned.select(*by, bucket, position, *sums).groupBy(*by, "bucket")
        return grouped.agg(*bits).select(*by, "bucket", bitmap, *sums)
    keeper_id = F.col("surviving_keeper_id")
    if isinstance(planned.schema["surviving_keeper_id"].dataType, StringType):
        # Python would replace bytes that are not valid UTF-8.
        keeper_id = keeper_id.cast("binary").alias("surviving_keeper_id")
    grouped = planned.select(*by, bucket, position, keeper_id, *sums).groupBy(*by, "bucket")
    kept = F.col("surviving_keeper_id")
    keeper = F.when(kept.isNotNull(), F.struct("position", kept.alias("keeper_id")))
    gathered = grouped.agg(*bits, F.collect_list(keeper).alias("keepers"))
    return gathered.select(*by, "bucket", bitmap, "keepers", *sums)
