"""Find the rows to remove, from IDs and row positions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from dedup_lib.lists.removal_list import (
    ENTRY_COLUMN,
    RemovalList,
    is_plain,
    sum_of_hashes,
    text_array,
)
from dedup_lib.plan.id_join import choose_join, hint_of
from dedup_lib.plan.id_scan import IdSizes, broadcast_bytes, sum_of_id_bytes
from dedup_lib.redaction import HIDDEN, SPARK_PATTERN, redact
from dedup_lib.settings import ListKind
from dedup_lib.tables.image_table import ImageTable

_SHOWN_IDS = ("image_id", "surviving_keeper_id")


@dataclass(frozen=True)
class PlanCounts:
    """The counts of a materialised plan.

    Attributes:
        removed_rows: Number of rows to remove.
        matched_ids: Number of their distinct IDs.
        matched_id_bytes: The bytes of these IDs.
        digest: A hash of these IDs and of the number of rows of each.
    """

    removed_rows: int
    matched_ids: int
    matched_id_bytes: int
    digest: str

    @property
    def broadcast_bytes(self) -> int:
        """The estimated size of the matched IDs as a broadcast hash table, in bytes."""
        return broadcast_bytes(self.matched_ids, self.matched_id_bytes)


def plan_schema(image_id_type: DataType) -> StructType:
    """Return the schema of a removal plan, for this type of image IDs."""
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


def kept_schema(image_id_type: DataType) -> StructType:
    """Return the schema of a plan that is kept: binary IDs are there also as text."""
    schema = plan_schema(image_id_type)
    texts = [StructField(f"{name}_text", StringType()) for name in _SHOWN_IDS]
    return StructType([*schema, *texts]) if isinstance(image_id_type, BinaryType) else schema


def with_texts(rows: DataFrame, images: ImageTable) -> DataFrame:
    """Add binary IDs as text, for people: `image_id_text`, `surviving_keeper_id_text`."""
    if not isinstance(images.id_type, BinaryType):
        return rows
    names = [name for name in _SHOWN_IDS if name in rows.columns]
    return rows.withColumns({f"{name}_text": images.as_text(F.col(name)) for name in names})


def find_rows(
    images: ImageTable,
    lists: Sequence[RemovalList],
    *,
    image_ids: IdSizes,
    list_ids: IdSizes,
) -> DataFrame:
    """Find the rows to remove, lazily.

    Args:
        images: The pinned image table.
        lists: The removal lists, with IDs of the same type, and with groups turned into pairs.
        image_ids: Sizes of the image IDs.
        list_ids: Sizes of all list entries together.

    Returns:
        One row per image row to remove: `image_id`, `file_path`, `row_index`, and `marks`: the
        list entries of the ID (array of struct `list_index`, `keeper_id`, `score`). A single list
        without keepers gives no `marks`.

    *Nulls:* a NULL ID in the table or a list matches nothing.
    *Cost:* one scan of the image IDs (two if they are broadcast) and one of the lists. The smaller
    side is broadcast. If both sides are large, IDs are shuffled; images never are.
    """
    candidates = images.located_ids
    entries = lists[0].frame if is_plain(lists) else _marks(lists)
    entries = entries.where(F.col(ENTRY_COLUMN).isNotNull())
    join = choose_join(image_ids, list_ids)
    if join == "broadcast image IDs":
        entries = _possible_matches(entries, candidates).distinct()
    if is_plain(lists):
        return candidates.join(entries.hint(hint_of(join)), ENTRY_COLUMN, "left_semi")
    marks = gather_marks(entries).hint(hint_of(join))
    kept_by = [index for index, item in enumerate(lists) if item.kind == "keep"]
    if not kept_by:
        return candidates.join(marks, ENTRY_COLUMN)
    marked = candidates.where(F.col(ENTRY_COLUMN).isNotNull()).join(marks, ENTRY_COLUMN, "left")
    return _unless_kept(marked, kept_by)


def finish_plan(
    rows: DataFrame, lists: Sequence[RemovalList], image_id_type: DataType
) -> DataFrame:
    """Give the rows to remove the columns of a plan.

    Args:
        rows: The rows of `find_rows`, optionally with `surviving_keeper_id`.
        lists: The lists that mark them.
        image_id_type: The type of the image table's IDs.

    Returns:
        One row per image row to remove, with the columns of `plan_schema`.
    """
    named = [(item.location, item.kind) for item in lists]
    return with_reasons(rows, named, plan_schema(image_id_type))


def _possible_matches(entries: DataFrame, candidates: DataFrame) -> DataFrame:
    """Drop entries whose hash no image ID has. A search by hash takes half as long as by ID."""
    hashed = F.xxhash64(ENTRY_COLUMN)
    hashes = candidates.select(hashed.alias("hash"))
    return (
        entries.withColumn("hash", hashed)
        .join(F.broadcast(hashes), "hash", "left_semi")
        .drop("hash")
    )


def _unless_kept(marked: DataFrame, kept_by: Sequence[int]) -> DataFrame:
    """Select rows that a list marks for removal, or that no list to keep names."""
    of_keep = F.array(*(F.lit(index) for index in kept_by))
    marks = F.coalesce(F.col("marks"), F.array().cast(marked.schema["marks"].dataType))

    def is_kept(mark: Column) -> Column:
        return F.array_contains(of_keep, mark["list_index"])

    to_remove = F.filter(marks, lambda mark: ~is_kept(mark))
    missing = F.transform(
        of_keep,
        lambda index: F.struct(
            index.alias("list_index"), F.lit(None).alias("keeper_id"), F.lit(None).alias("score")
        ),
    ).cast(marked.schema["marks"].dataType)
    all_marks = F.when(F.exists(marks, is_kept), to_remove).otherwise(F.concat(to_remove, missing))
    return marked.withColumn("marks", all_marks).where(F.size("marks") > 0)


def count_plan(planned: DataFrame) -> PlanCounts:
    """Count the rows and IDs of a materialised plan.

    *Cost:* one pass over the plan, with a shuffle of its IDs.
    """
    # Without the repartition Spark aggregates first, and needlessly sorts and spills long plans.
    ids = planned.select("image_id").repartition("image_id")
    ids = ids.groupBy("image_id").agg(F.count(F.lit(1)).alias("num_rows"))
    row = ids.agg(
        F.coalesce(F.sum("num_rows"), F.lit(0)).alias("removed_rows"),
        F.count(F.lit(1)).alias("matched_ids"),
        sum_of_id_bytes(F.col("image_id")),
        sum_of_hashes("image_id", "num_rows").alias("digest"),
    ).collect()[0]
    return PlanCounts(
        row["removed_rows"], row["matched_ids"], row["id_bytes"], f"{int(row['digest']):x}"
    )


def _marks(lists: Sequence[RemovalList]) -> DataFrame:
    """Unite lists: one row per entry, `image_id`, `list_index`, `keeper_id`, `score`."""

    def marks_of(index: int, item: RemovalList) -> DataFrame:
        names = item.frame.columns
        keeper_id = F.col("keeper_id") if "keeper_id" in names else F.lit(None)
        score = F.col("score") if "score" in names else F.lit(None)
        return item.frame.select(
            ENTRY_COLUMN,
            F.lit(index).alias("list_index"),
            keeper_id.cast(item.frame.schema[ENTRY_COLUMN].dataType).alias("keeper_id"),
            score.cast("double").alias("score"),
        )

    frames = [marks_of(index, item) for index, item in enumerate(lists)]
    return reduce(DataFrame.unionByName, frames)


def gather_marks(entries: DataFrame) -> DataFrame:
    """Gather list entries by ID.

    Args:
        entries: `image_id`, `list_index`, `keeper_id`, `score`, one row per entry.

    Returns:
        One row per ID: `image_id`, and `marks`: its entries in the lists, in the lists' order.
    """
    mark = F.struct("list_index", "keeper_id", "score")
    return entries.groupBy(ENTRY_COLUMN).agg(F.sort_array(F.collect_set(mark)).alias("marks"))


def with_reasons(
    rows: DataFrame, lists: Sequence[tuple[str | None, ListKind]], schema: StructType
) -> DataFrame:
    """Give the rows to remove the columns of a plan.

    Args:
        rows: `image_id`, `file_path`, `row_index`, one row per image row. Also `marks` if there
            are several lists, or a list with keepers. Optionally `surviving_keeper_id`.
        lists: The location and kind of each list.
        schema: The schema that `plan_schema` returns.
    """
    locations = text_array(location and redact(location) for location, _ in lists)
    kinds = text_array(kind for _, kind in lists)

    def reason(index: Column, keeper_id: Column, score: Column) -> Column:
        return F.struct(
            F.element_at(locations, index + 1).alias("list_location"),
            F.element_at(kinds, index + 1).alias("list_kind"),
            keeper_id.alias("keeper_id"),
            score.alias("score"),
        )

    if "marks" in rows.columns:
        reasons = F.transform(
            "marks", lambda mark: reason(mark["list_index"], mark["keeper_id"], mark["score"])
        )
    else:
        reasons = F.array(reason(F.lit(0), F.lit(None), F.lit(None)))
    has_survivors = "surviving_keeper_id" in rows.columns
    survivor = F.col("surviving_keeper_id") if has_survivors else F.lit(None)
    return rows.select(
        "image_id",
        "file_path",
        "row_index",
        reasons.cast(schema["reasons"].dataType).alias("reasons"),
        survivor.cast(schema["surviving_keeper_id"].dataType).alias("surviving_keeper_id"),
    )


def without_secrets(plan: DataFrame, root: str) -> DataFrame:
    """Redact the file paths of a plan if the table's location holds a secret."""
    if redact(root) == root:
        return plan
    store = "/".join(root.split("/")[:3])
    shown = F.replace(F.col("file_path"), F.lit(store), F.lit(redact(store)))
    return plan.withColumn("file_path", F.regexp_replace(shown, SPARK_PATTERN, HIDDEN))
