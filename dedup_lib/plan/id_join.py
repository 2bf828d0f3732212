"""Choose how to join IDs with IDs: broadcast the smaller side if it is small enough."""

from __future__ import annotations

from typing import Literal

from pyspark.sql import SparkSession

from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.session.spark_session import cores, get_setting

# The driver builds broadcasts, so the limit is well below the heap of a small driver.
BROADCAST_LIMIT_BYTES = 128 * 1024**2
# A task hashes so many IDs, or fewer.
ROWS_PER_PARTITION = 500_000
BYTES_PER_PARTITION = 32 * 1024**2
_PARTITIONS_PER_CORE = 4
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
    spark: SparkSession,
    join: PlanJoin,
    image_ids: IdSizes,
    list_ids: IdSizes,
    *,
    only_more: bool = False,
) -> dict[str, str]:
    """Return session settings that fit the number of shuffle partitions to the IDs.

    More partitions keep the hash tables of a shuffled join small: tasks can't spill them. Adaptive
    execution unites partitions that turn out to be small. Fewer partitions save tasks that have
    next to nothing to do, if it is known how long the IDs are.

    Args:
        spark: The session.
        join: How the IDs are joined. Only if both sides are shuffled there may be more partitions.
        image_ids: Sizes of the image IDs.
        list_ids: Sizes of all list entries; no bytes if they were not measured.
        only_more: Whether there may not be fewer partitions, since more than IDs are shuffled.
    """
    sides = (image_ids, list_ids)
    needed = 1 + max(
        *(ids.num_rows // ROWS_PER_PARTITION for ids in sides),
        *(ids.id_bytes // BYTES_PER_PARTITION for ids in sides),
    )
    text = get_setting(spark, _PARTITIONS) or ""  # some platforms say "auto"
    present = int(text) if text.isdigit() else needed
    if needed > present:
        return {_PARTITIONS: str(needed)} if join == "shuffle both" else {}
    is_measured = list_ids.id_bytes > 0 or list_ids.num_rows == 0
    if only_more or not is_measured or present == needed:
        return {}
    if present > (enough := max(needed, _PARTITIONS_PER_CORE * cores(spark))):
        return {_PARTITIONS: str(enough)}
    return {}
