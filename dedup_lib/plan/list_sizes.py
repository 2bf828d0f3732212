"""Measure the lists: entries, NULLs, distinct IDs, and the bytes of the IDs."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, Row
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import ENTRY_COLUMN, RemovalList, union
from dedup_lib.plan.id_join import can_be_broadcast
from dedup_lib.plan.id_scan import IdSizes, sum_of_id_bytes
from dedup_lib.settings import ListCounts

EXACT_LIST_COUNTS_LIMIT_ROWS = 5_000_000


def count_entries(lists: Sequence[RemovalList], mode: ListCounts) -> tuple[IdSizes, int | None]:
    """Count the entries of all lists and their NULLs, and add up the bytes of the IDs.

    Args:
        lists: The removal lists.
        mode: Whether to count distinct IDs as well.

    Returns:
        The sizes, and the number of distinct IDs, or None if they are not counted. The bytes are 0
        if there are too many IDs for a broadcast, whatever their bytes.

    *Cost:* one pass over the ID columns. Counting distinct IDs takes one more, with a shuffle.
    """
    known = [item.num_rows for item in lists if item.num_rows is not None]
    if len(known) < len(lists):
        sizes, distinct = _count_all(lists), None
        if _wants_distinct(mode, sizes.num_rows):
            distinct = _count_distinct(lists)
        return sizes, distinct
    num_rows = sum(known)
    if _wants_distinct(mode, num_rows):
        if num_rows <= EXACT_LIST_COUNTS_LIMIT_ROWS:
            return _count_at_once(lists)
        return _count_all(lists), _count_distinct(lists)
    if not can_be_broadcast(IdSizes(num_rows, num_nulls=0, id_bytes=0)):
        sizes = IdSizes(num_rows, _count_nulls(lists), id_bytes=0)
        if not can_be_broadcast(sizes):
            return sizes, None
    return _count_all(lists), None


def _wants_distinct(mode: ListCounts, num_rows: int) -> bool:
    return mode == "exact" or (mode == "auto" and num_rows <= EXACT_LIST_COUNTS_LIMIT_ROWS)


def _count_all(lists: Sequence[RemovalList]) -> IdSizes:
    return _sizes_of(union(lists).agg(*_sizes()).collect()[0])


def _count_at_once(lists: Sequence[RemovalList]) -> tuple[IdSizes, int]:
    distinct = F.count_distinct(ENTRY_COLUMN).alias("distinct_ids")
    row = union(lists).agg(*_sizes(), distinct).collect()[0]
    return _sizes_of(row), row["distinct_ids"]


def _sizes() -> tuple[Column, ...]:
    image_id = F.col(ENTRY_COLUMN)
    num_rows = F.count(F.lit(1)).alias("num_rows")
    return num_rows, F.count(image_id).alias("num_ids"), sum_of_id_bytes(image_id)


def _sizes_of(row: Row) -> IdSizes:
    return IdSizes(row["num_rows"], row["num_rows"] - row["num_ids"], row["id_bytes"])


def _count_nulls(lists: Sequence[RemovalList]) -> int:
    return union(lists).where(F.col(ENTRY_COLUMN).isNull()).count()


def _count_distinct(lists: Sequence[RemovalList]) -> int:
    ids = union(lists).select(ENTRY_COLUMN).where(F.col(ENTRY_COLUMN).isNotNull())
    # Without the repartition Spark aggregates first, and needlessly sorts and spills long lists.
    return ids.repartition(ENTRY_COLUMN).distinct().count()
