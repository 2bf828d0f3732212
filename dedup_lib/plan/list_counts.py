"""Find and count the listed IDs that are in the image table, and those that are not."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import ENTRY_COLUMN, RemovalList, text_array, union
from dedup_lib.plan.id_join import PlanJoin, hint_of
from dedup_lib.redaction import redact


def count_matched(
    table_ids: DataFrame, lists: Sequence[RemovalList], join: PlanJoin
) -> tuple[int, list[int]]:
    """Count the distinct listed IDs that are in the image table, for all lists and for each.

    Args:
        table_ids: `image_id`, one row per row of the image table.
        lists: The removal lists.
        join: How IDs are joined.

    *Cost:* a scan of the image IDs and one or two of the lists; IDs are shuffled.
    """
    matched = _entries_by_match(table_ids, lists, join, "left_semi")
    is_in = {f"in_{index}": F.col("list_index") == index for index in range(len(lists))}
    by_id = matched.groupBy(ENTRY_COLUMN).agg(*(F.max(own).alias(n) for n, own in is_in.items()))
    row = by_id.agg(F.count(F.lit(1)), *(F.count_if(name) for name in is_in)).collect()[0]
    return row[0], list(row[1:])


def matched_entries(
    table_ids: DataFrame, lists: Sequence[RemovalList], join: PlanJoin
) -> DataFrame:
    """Find the listed IDs that are in the image table, lazily.

    Returns:
        One row per list and ID: `image_id`, `list_index`.
    """
    return _entries_by_match(table_ids, lists, join, "left_semi").distinct()


def unmatched_ids(table_ids: DataFrame, lists: Sequence[RemovalList], join: PlanJoin) -> DataFrame:
    """Find the listed IDs that are not in the image table, lazily.

    Args:
        table_ids: `image_id`, one row per row of the image table.
        lists: The removal lists.
        join: How IDs are joined.

    Returns:
        One row per list and ID: `image_id`, `list_location`, `list_kind` (strings).

    *Nulls:* a NULL entry is not an ID.
    *Cost:* a scan of the image IDs and one or two of the lists; IDs are shuffled.
    """
    unmatched = _entries_by_match(table_ids, lists, join, "left_anti")
    list_number = F.col("list_index") + 1
    locations = text_array(redact(item.location) for item in lists)
    return unmatched.distinct().select(
        ENTRY_COLUMN,
        F.element_at(locations, list_number).alias("list_location"),
        F.element_at(text_array(item.kind for item in lists), list_number).alias("list_kind"),
    )


def _entries_by_match(
    table_ids: DataFrame, lists: Sequence[RemovalList], join: PlanJoin, how: str
) -> DataFrame:
    """Find the entries that are in the image table (left_semi), or are not (left_anti)."""
    entries = union(lists).where(F.col(ENTRY_COLUMN).isNotNull())
    if join == "broadcast list":  # these joins can't broadcast their left side
        listed = F.broadcast(entries.select(ENTRY_COLUMN).distinct())
        table_ids = table_ids.join(listed, ENTRY_COLUMN, "left_semi").distinct()
    return entries.join(table_ids.hint(hint_of(join)), ENTRY_COLUMN, how)
