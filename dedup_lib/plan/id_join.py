"""Choose how to join IDs with IDs: broadcast the smaller side if it is small enough."""

from __future__ import annotations

from typing import Literal

from pyspark.sql import SparkSession

from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.session.spark_session import get_setting

# The driver builds broadcasts, so the limit is well below the heap of a small driver.
BROADCAST_LIMIT_BYTES = 128 * 1024**2
# A task hashes so many IDs, or fewer.
ROWS_PER_PARTITION = 500_000
BYTES_PER_PARTITION = 32 * 1024**2
_PARTITIONS = "spark.sql.shuffle.partitions"
PlanJoin = Literal["broadcast list", "broadcast image IDs", "shuffle both"]


def choose_join(image_ids: IdSizes, list_ids: IdSizes) -> PlanJoin:
    """Choose how to join the IDs of the image table with those of the lists."""
    if can_be_broadcast(list_ids):
        return "broadcast list"
    if can_be_broadcast(image_ids):
        return "broadcast image IDs"
    return "shuffle both"


def can_be_broadcast(ids: IdSizes) -> bool:
    """Tell whether IDs are few enough for a broadcast."""
    return ids.broadcast_bytes <= BROADCAST_LIMIT_BYTES


def hint_of(join: PlanJoin) -> str:
    """Return the hint for the side to hash; sorting both sides would take twice as long."""
    return "shuffle_hash" if join == "shuffle both" else "broadcast"


def shuffle_settings(
    spark: SparkSession, join: PlanJoin, image_ids: IdSizes, list_ids: IdSizes
) -> dict[str, str]:
    """Return session settings that keep the hash tables of a shuffled join small.

    Tasks can't spill these tables. Adaptive execution unites partitions that turn out to be small.
    """
    if join != "shuffle both":
        return {}
    sides = (image_ids, list_ids)
    needed = 1 + max(
        *(ids.num_rows // ROWS_PER_PARTITION for ids in sides),
        *(ids.id_bytes // BYTES_PER_PARTITION for ids in sides),
    )
    present = get_setting(spark, _PARTITIONS) or ""  # some platforms say "auto"
    is_enough = not present.isdigit() or int(present) >= needed
    return {} if is_enough else {_PARTITIONS: str(needed)}
