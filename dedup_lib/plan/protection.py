"""Protect images: they stay, even if removal lists name them (--protect-ids)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import ENTRY_COLUMN, RemovalList, union
from dedup_lib.plan import list_counts
from dedup_lib.plan.id_join import can_be_broadcast, choose_join
from dedup_lib.plan.id_scan import IdSizes, sum_of_id_bytes

_MARK = "is_protected"


@dataclass(frozen=True)
class ProtectedList:
    """A list of protected IDs: its entries, its NULLs, its distinct IDs in the table."""

    location: str
    num_rows: int
    num_nulls: int
    matched_ids: int


@dataclass(frozen=True)
class Spared:
    """The rows that stay only because they are protected, and their distinct IDs."""

    num_rows: int = 0
    num_ids: int = 0


@dataclass(frozen=True)
class Protection:
    """The protected IDs that are in the image table.

    Attributes:
        ids: `image_id`, one row per ID.
        are_few: Whether they can be broadcast.
        lists: The counts of each list.
        spared: The rows that stay because of them, once they are counted.
    """

    ids: DataFrame
    are_few: bool
    lists: Sequence[ProtectedList]
    spared: Spared = Spared()

    def mark(self, rows: DataFrame) -> DataFrame:
        """Mark the protected rows, lazily. The caller should evaluate the result only once.

        *Cost:* a join of IDs with IDs. The protected IDs are broadcast if they are few.
        """
        hint = "broadcast" if self.are_few else "shuffle_hash"
        marks = self.ids.withColumn(_MARK, F.lit(True)).hint(hint)
        return rows.join(marks, ENTRY_COLUMN, "left")

    def described(self) -> dict[str, int]:
        """Return the numbers, for the report."""
        return {
            "list_rows": sum(item.num_rows for item in self.lists),
            "list_null_ids": sum(item.num_nulls for item in self.lists),
            "spared_ids": self.spared.num_ids,
            "spared_rows": self.spared.num_rows,
        }


def find_protected(
    table_ids: DataFrame,
    lists: Sequence[RemovalList],
    image_ids: IdSizes,
    materialise: Callable[[DataFrame], DataFrame],
) -> Protection:
    """Find the listed IDs that are in the image table.

    Args:
        table_ids: `image_id`, one row per row of the image table.
        lists: The lists of protected IDs: one or more.
        image_ids: Sizes of the image IDs.
        materialise: Evaluates a frame once.

    *Nulls:* a NULL entry protects nothing.
    *Cost:* a scan of the image IDs, and two of the lists; IDs are shuffled.
    """
    listed = _sizes_by_list(union(lists), len(lists))
    join = choose_join(image_ids, _total(listed))
    known = materialise(list_counts.matched_entries(table_ids, lists, join))
    matched = _sizes_by_list(known, len(lists))
    return Protection(
        ids=known.select(ENTRY_COLUMN).distinct(),
        are_few=can_be_broadcast(_total(matched)),
        lists=[
            ProtectedList(item.location, sizes.num_rows, sizes.num_nulls, found.num_rows)
            for item, sizes, found in zip(lists, listed, matched, strict=True)
        ],
    )


def spare(marked: DataFrame) -> tuple[DataFrame, Spared]:
    """Take protected rows out of the rows to remove.

    Args:
        marked: The rows to remove, evaluated, with the mark of `Protection.mark`.

    Returns:
        The rows that are not protected; and the counts of the protected rows.
    """
    is_protected = F.coalesce(F.col(_MARK), F.lit(False))
    counts = F.count(F.lit(1)), F.count_distinct(ENTRY_COLUMN)
    row = marked.where(is_protected).agg(*counts).collect()[0]
    return marked.where(~is_protected).drop(_MARK), Spared(*row)


def _sizes_by_list(entries: DataFrame, num_lists: int) -> list[IdSizes]:
    """Measure the entries (`image_id`, `list_index`) of each list."""
    image_id = F.col(ENTRY_COLUMN)
    weighed = entries.groupBy("list_index").agg(
        F.count(F.lit(1)).alias("num_rows"),
        F.count_if(image_id.isNull()).alias("num_nulls"),
        sum_of_id_bytes(image_id),
    )
    found = {row["list_index"]: row for row in weighed.collect()}
    none = {"num_rows": 0, "num_nulls": 0, "id_bytes": 0}
    rows = (found[index].asDict() if index in found else none for index in range(num_lists))
    return [IdSizes(row["num_rows"], row["num_nulls"], row["id_bytes"]) for row in rows]


def _total(sizes: Sequence[IdSizes]) -> IdSizes:
    return IdSizes(
        sum(item.num_rows for item in sizes),
        sum(item.num_nulls for item in sizes),
        sum(item.id_bytes for item in sizes),
    )
