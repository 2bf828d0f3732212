"""Choose how to join IDs with IDs: broadcast the smaller side if it is small enough."""

from __future__ import annotations

from typing import Literal

from dedup_lib.plan.id_scan import IdSizes

# The driver builds broadcasts, so the limit is well below the heap of a small driver.
BROADCAST_LIMIT_BYTES = 128 * 1024**2
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
