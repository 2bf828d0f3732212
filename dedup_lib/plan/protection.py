"""Protect images: they stay, even if lists name them (--protect-ids, --protect-where)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.lists.removal_list import ENTRY_COLUMN, RemovalList, union
from dedup_lib.plan import list_counts, protected_rows
from dedup_lib.plan.id_join import can_be_broadcast, choose_join
from dedup_lib.plan.id_scan import IdSizes, sum_of_id_bytes
from dedup_lib.settings import Condition
from dedup_lib.tables.image_table import ImageTable

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
        condition_ids: Number of IDs for which --protect-where is true; None without it.
        spared: The rows that stay because of them, once they are counted.
    """

    ids: DataFrame
    are_few: bool
    lists: Sequence[ProtectedList]
    condition_ids: int | None
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
    images: ImageTable,
    lists: Sequence[RemovalList],
    condition: Condition | None,
    image_ids: IdSizes,
    materialise: Callable[[DataFrame], DataFrame],
) -> Protection:
    """Find the IDs of the image table that lists name, or for which a condition is true.

    Args:
        images: The pinned image table.
        lists: The lists of protected IDs; there may be none if there is a condition.
        condition: A condition on the columns of the table.
        image_ids: Sizes of the image IDs.
        materialise: Evaluates a frame once.

    *Nulls:* a NULL entry, and a condition that is NULL, protect nothing.
    *Cost:* for lists, a scan of the image IDs, and two of the lists; for a condition, a scan of the
    image IDs and its columns. IDs are shuffled.
    """
    listed, found = [], []
    if lists:
        listed = _sizes_by_list(union(lists), len(lists))
        join = choose_join(image_ids, _total(listed))
        found.append(list_counts.matched_entries(images.table_ids, lists, join))
    if condition is not None:  # as if it were the last list
        held = protected_rows.protected_ids(images, condition)
        found.append(held.withColumn("list_index", F.lit(len(lists))))
    known = materialise(reduce(DataFrame.unionByName, found))
    *matched, by_condition = _sizes_by_list(known, len(lists) + 1)
    return Protection(
        ids=known.select(ENTRY_COLUMN).distinct(),
        are_few=can_be_broadcast(_total([*matched, by_condition])),
        lists=[
            ProtectedList(item.location, sizes.num_rows, sizes.num_nulls, known_ids.num_rows)
            for item, sizes, known_ids in zip(lists, listed, matched, strict=True)
        ],
        condition_ids=None if condition is None else by_condition.num_rows,
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
