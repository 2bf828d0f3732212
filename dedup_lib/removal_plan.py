"""Decide which rows go, from IDs and row positions alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from dedup_lib.id_scan import IdSizes, broadcast_bytes, sum_of_id_bytes
from dedup_lib.removal_list import ENTRY_COLUMN, RemovalList, sum_of_hashes, union
from dedup_lib.settings import ListCounts
from dedup_lib.sql_names import quoted
from dedup_lib.tables import PinnedTable, metadata

# Broadcasts are built on the driver: well below the heap of a small one.
BROADCAST_LIMIT_BYTES = 128 * 1024**2
EXACT_LIST_COUNTS_LIMIT_ROWS = 5_000_000
PlanJoin = Literal["broadcast list", "broadcast image IDs", "shuffle both"]


@dataclass(frozen=True)
class PlanCounts:
    """What a materialised plan holds.

    Attributes:
        removed_rows: Rows that go.
        matched_ids: Distinct IDs among them.
        matched_id_bytes: The bytes of these IDs.
        digest: The same for the same IDs with the same number of rows each.
    """

    removed_rows: int
    matched_ids: int
    matched_id_bytes: int
    digest: str

    @property
    def broadcast_bytes(self) -> int:
        """About what the matched IDs cost as a broadcast hash table, in bytes."""
        return broadcast_bytes(self.matched_ids, self.matched_id_bytes)


def plan_schema(image_id_type: DataType) -> StructType:
    """Return the schema of a removal plan, for images with IDs of a type."""
    reason = StructType(
        [
            StructField("list_location", StringType()),
            StructField("list_kind", StringType()),
            StructField("keeper_id", image_id_type),
            StructField("score", DoubleType()),
        ]
    )
    return StructType(
        [
            StructField("image_id", image_id_type),
            StructField("file_path", StringType()),
            StructField("row_index", LongType()),
            StructField("reasons", ArrayType(reason)),
            StructField("surviving_keeper_id", image_id_type),
        ]
    )


def count_entries(lists: Sequence[RemovalList], mode: ListCounts) -> tuple[IdSizes, int | None]:
    """Count the entries of all lists and their NULLs, and weigh the IDs.

    Args:
        lists: The removal lists.
        mode: Whether to count distinct IDs, too.

    Returns:
        The sizes, and the number of distinct IDs; None where that is not wanted. IDs are taken to
        weigh nothing where there are too many to be broadcast, whatever they weigh.

    *Cost:* one pass over the ID columns; where distinct IDs are counted, with a shuffle of them.
    Of IDs that need not be weighed only the row groups that hold a NULL are read.
    """
    known = [item.num_rows for item in lists if item.num_rows is not None]
    if len(known) < len(lists):
        sizes = _count_all(lists)
        return _count_distinct(lists) if _wants_distinct(mode, sizes.num_rows) else (sizes, None)
    if _wants_distinct(mode, sum(known)):
        return _count_distinct(lists)
    if not _can_be_broadcast(IdSizes(sum(known), num_nulls=0, id_bytes=0)):
        sizes = IdSizes(sum(known), _count_nulls(lists), id_bytes=0)
        if not _can_be_broadcast(sizes):
            return sizes, None
    return _count_all(lists), None


def _wants_distinct(mode: ListCounts, num_rows: int) -> bool:
    return mode == "exact" or (mode == "auto" and num_rows <= EXACT_LIST_COUNTS_LIMIT_ROWS)


def _count_all(lists: Sequence[RemovalList]) -> IdSizes:
    image_id = F.col(ENTRY_COLUMN)
    counts = (F.count(F.lit(1)), F.count(image_id), sum_of_id_bytes(image_id))
    num_rows, num_ids, id_bytes = union(lists).agg(*counts).collect()[0]
    return IdSizes(num_rows, num_rows - num_ids, id_bytes)


def _count_nulls(lists: Sequence[RemovalList]) -> int:
    return union(lists).where(F.col(ENTRY_COLUMN).isNull()).count()


def _count_distinct(lists: Sequence[RemovalList]) -> tuple[IdSizes, int]:
    image_id = F.col(ENTRY_COLUMN)
    counts = (F.count(F.lit(1)).alias("num_rows"), sum_of_id_bytes(image_id))
    by_id = union(lists).groupBy(ENTRY_COLUMN).agg(*counts)
    num_ids = F.when(image_id.isNotNull(), F.col("num_rows"))
    totals = (F.sum("num_rows"), F.sum(num_ids), F.sum("id_bytes"), F.count(image_id))
    row = by_id.agg(*(F.coalesce(total, F.lit(0)) for total in totals)).collect()[0]
    num_rows, not_null, id_bytes, distinct = row
    return IdSizes(num_rows, num_rows - not_null, id_bytes), distinct


def choose_join(image_ids: IdSizes, list_ids: IdSizes) -> PlanJoin:
    """Choose how IDs are joined: the smaller side is broadcast, where one is small."""
    if _can_be_broadcast(list_ids):
        return "broadcast list"
    if _can_be_broadcast(image_ids):
        return "broadcast image IDs"
    return "shuffle both"


def _can_be_broadcast(ids: IdSizes) -> bool:
    return ids.broadcast_bytes <= BROADCAST_LIMIT_BYTES


def plan(
    images: PinnedTable,
    image_id_column: str,
    lists: Sequence[RemovalList],
    *,
    image_ids: IdSizes,
    list_ids: IdSizes,
    materialise: Callable[[DataFrame], DataFrame] = lambda rows: rows,
) -> DataFrame:
    """Find the rows that go, lazily.

    Args:
        images: The pinned image table.
        image_id_column: Its ID column.
        lists: The removal lists, their IDs of the same type.
        image_ids: Sizes of the image IDs.
        list_ids: Sizes of all list entries together.
        materialise: Evaluates what was found, once; it is narrower than what is returned.

    Returns:
        One row per removed image row, as `plan_schema` says.

    *Nulls:* a NULL ID, in table or list, matches nothing.
    *Cost:* one scan of the image IDs (two where they are broadcast) and one of the lists.
    The smaller side is broadcast; where both are large, IDs are shuffled, never images.
    """
    candidates = _candidates(images, image_id_column)
    entries = union(lists).where(F.col(ENTRY_COLUMN).isNotNull())
    join = choose_join(image_ids, list_ids)
    if join == "broadcast image IDs":
        entries = _those_that_may_match(entries, candidates).distinct()
    hint = "shuffle_hash" if join == "shuffle both" else "broadcast"
    if len(lists) == 1:
        matched = candidates.join(entries.hint(hint), ENTRY_COLUMN, "left_semi")
    else:
        matched = candidates.join(by_entry(entries).hint(hint), ENTRY_COLUMN)
    schema = plan_schema(images.frame.schema[image_id_column].dataType)
    return with_reasons(materialise(matched), [item.location for item in lists], schema)


def _those_that_may_match(entries: DataFrame, candidates: DataFrame) -> DataFrame:
    """Leave out entries whose hash no image ID has: looked up in half the time of an ID."""
    hashed = F.xxhash64(ENTRY_COLUMN)
    hashes = candidates.select(hashed.alias("hash"))
    return (
        entries.withColumn("hash", hashed)
        .join(F.broadcast(hashes), "hash", "left_semi")
        .drop("hash")
    )


def count_plan(planned: DataFrame) -> PlanCounts:
    """Count what a materialised plan holds.

    Cost: one pass over the plan, with a shuffle of its IDs.
    """
    ids = planned.groupBy("image_id").agg(F.count(F.lit(1)).alias("num_rows"))
    row = ids.agg(
        F.coalesce(F.sum("num_rows"), F.lit(0)).alias("removed_rows"),
        F.count(F.lit(1)).alias("matched_ids"),
        sum_of_id_bytes(F.col("image_id")),
        sum_of_hashes("image_id", "num_rows").alias("digest"),
    ).collect()[0]
    return PlanCounts(
        row["removed_rows"], row["matched_ids"], row["id_bytes"], f"{int(row['digest']):x}"
    )


def _candidates(images: PinnedTable, image_id_column: str) -> DataFrame:
    frame = images.frame
    row_index = metadata(frame, "row_index") if images.has_row_index else F.lit(None)
    return frame.select(
        F.col(quoted(image_id_column)).alias(ENTRY_COLUMN),
        metadata(frame, "file_path").alias("file_path"),
        row_index.cast("bigint").alias("row_index"),
    )


def by_entry(entries: DataFrame) -> DataFrame:
    """Gather list entries by ID.

    Args:
        entries: `image_id` and `list_index`, one row per entry.

    Returns:
        One row per ID: `image_id`, and `list_indexes`, the lists that name it, in order.
    """
    indexes = F.sort_array(F.collect_set("list_index"))
    return entries.groupBy(ENTRY_COLUMN).agg(indexes.alias("list_indexes"))


def with_reasons(
    matched: DataFrame, locations: Sequence[str | None], schema: StructType
) -> DataFrame:
    """Give matched rows the columns of a plan.

    Args:
        matched: `image_id`, `file_path`, `row_index`, one row per image row; where there are
            several lists also `list_indexes`.
        locations: Of each list.
        schema: As `plan_schema` makes it.
    """
    names = F.array(*(F.lit(location) for location in locations))
    reasons_type = schema["reasons"].dataType

    def reason(index: Column) -> Column:
        return F.struct(
            F.element_at(names, index + 1).alias("list_location"),
            F.lit("remove").alias("list_kind"),
            F.lit(None).alias("keeper_id"),
            F.lit(None).alias("score"),
        )

    if len(locations) == 1:
        reasons = F.array(reason(F.lit(0)))
    else:
        reasons = F.transform("list_indexes", reason)
    return matched.select(
        "image_id",
        "file_path",
        "row_index",
        reasons.cast(reasons_type).alias("reasons"),
        F.lit(None).cast(schema["surviving_keeper_id"].dataType).alias("surviving_keeper_id"),
    )
