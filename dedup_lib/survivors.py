"""Follow keepers: does each image that goes have one that stays?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Materialise = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Followed:
    """What following the keepers came to.

    Attributes:
        outcome: One row per ID that goes and has a keeper: `image_id`; `fate`: `here` where it has
            a survivor in the table, `elsewhere` where its keepers lead to an image that is not in
            it, `lost` where they all go, too, or lead back to themselves; `surviving_keeper_id`,
            NULL but for the first.
        dead_ends: `image_id`, `keeper_id`: the pairs of the lost ones; None where there are none.
        rounds: How often pairs were joined.
    """

    outcome: DataFrame
    dead_ends: DataFrame | None
    rounds: int


def pairs_of(rows: DataFrame) -> DataFrame:
    """Return who is whose keeper.

    Args:
        rows: Rows that go, with `image_id` and `marks`.

    Returns:
        One row per row, keeper and score: `image_id`, `keeper_id`; `distance`, minus the score (0
        where lists have none); `is_only`, true only where the ID has no other keeper.
    """
    is_only = (F.size("marks") == 1).alias("is_only")
    exploded = rows.select("image_id", is_only, F.explode("marks").alias("mark"))
    distance = F.coalesce(-F.col("mark.score"), F.lit(0.0)).alias("distance")
    keeper_id = F.col("mark.keeper_id").alias("keeper_id")
    pairs = exploded.select("image_id", keeper_id, distance, "is_only")
    return pairs.where(F.col("keeper_id").isNotNull())


def follow(
    pairs: DataFrame, removed_ids: DataFrame, image_ids: DataFrame, materialise: Materialise
) -> Followed:
    """Follow the keepers of each ID to one that stays, through chains of keepers that go.

    Each ID points at its best keeper, and the pointers are followed, twice as far each round. That
    settles all but those that end in a circle, at an ID without a keeper, or outside of the table:
    their other keepers are followed then.

    Args:
        pairs: As `pairs_of` makes them.
        removed_ids: `image_id`, one row per ID that goes.
        image_ids: `image_id`, one row per row of the image table.
        materialise: Evaluates a frame once.

    Returns:
        What came of it. Of several keepers one that stays is taken, then one that goes and may have
        a keeper itself; then that of the best score; then the smallest ID.

    *Nulls:* a NULL keeper is none.
    *Cost:* one scan of the image IDs; a shuffle of all pairs; then, round by round, of all pointers
    and of those that do not end yet. A chain of n takes about log2(n) rounds.
    """
    known = materialise(_with_fate(pairs, removed_ids, image_ids))
    pointers, by_fate, rounds = _followed_pointers(_best(known), materialise)
    here = pointers.where(F.col("fate") == "stays")
    here = here.select("image_id", F.col("keeper_id").alias("surviving_keeper_id"))
    outcome = here.withColumn("fate", F.lit("here"))
    if set(by_fate) <= {"stays"}:
        return Followed(outcome, None, rounds)
    rest = materialise(known.join(here, "image_id", "left_anti"))
    more_here, more_rounds = _reach(rest.where(F.col("fate") == "goes"), here, materialise)
    if more_here is not None:
        outcome = outcome.unionByName(more_here.withColumn("fate", F.lit("here")))
        rest = materialise(rest.join(more_here, "image_id", "left_anti"))
    absent = _nearest(rest.where(F.col("fate") == "elsewhere"), F.col("keeper_id"))
    absent = materialise(absent)
    more_elsewhere, last_rounds = _reach(rest.where(F.col("fate") == "goes"), absent, materialise)
    elsewhere = absent if more_elsewhere is None else absent.unionByName(more_elsewhere)
    dead_ends = rest.join(elsewhere, "image_id", "left_anti").select("image_id", "keeper_id")
    lost = dead_ends.select("image_id").distinct()
    for ids, fate in ((elsewhere.select("image_id"), "elsewhere"), (lost, "lost")):
        unknown = F.lit(None).cast(here.schema["surviving_keeper_id"].dataType)
        told = ids.withColumns({"surviving_keeper_id": unknown, "fate": F.lit(fate)})
        outcome = outcome.unionByName(told)
    rounds += more_rounds + last_rounds
    return Followed(materialise(outcome), materialise(dead_ends), rounds)


def _with_fate(pairs: DataFrame, removed_ids: DataFrame, image_ids: DataFrame) -> DataFrame:
    """Add `fate`: whether the keeper `goes`, `stays`, or is `elsewhere`."""
    keepers = pairs.select(F.col("keeper_id").alias("image_id"))
    here = image_ids.join(keepers, "image_id", "left_semi").distinct()
    going = removed_ids.withColumn("goes", F.lit(True))
    fate = F.when(F.col("goes"), "goes").otherwise("stays").alias("fate")
    fates = here.join(going, "image_id", "left").select(F.col("image_id").alias("keeper_id"), fate)
    told = pairs.join(fates, "keeper_id", "left")
    fate = F.coalesce("fate", F.lit("elsewhere")).alias("fate")
    return told.select("image_id", "keeper_id", "distance", "is_only", fate)


def _best(known: DataFrame) -> DataFrame:
    """Choose where each ID points: `image_id`, `keeper_id`, `fate`."""
    # To aggregate IDs is to sort them, which those with a single keeper can do without.
    single = known.where("is_only").select("image_id", "keeper_id", "fate").distinct()
    several = known.where(~F.col("is_only"))
    order = (
        F.when(F.col("fate") == "stays", 0)
        .when(F.col("image_id") == F.col("keeper_id"), 3)
        .when(F.col("fate") == "goes", 1)
        .otherwise(2)
    )
    best = F.min(F.struct(order.alias("order"), "distance", "keeper_id", "fate")).alias("best")
    chosen = several.groupBy("image_id").agg(best)
    return single.unionByName(chosen.select("image_id", "best.keeper_id", "best.fate"))


def _followed_pointers(
    pointers: DataFrame, materialise: Materialise
) -> tuple[DataFrame, dict[str, int], int]:
    """Follow pointers until they end, or only lead round in circles.

    Returns:
        `image_id`, `keeper_id` (the end), `fate` (of the end: `lost` is an ID that goes and has no
        keeper; `goes` one in a circle), one row per ID; how many there are of each fate; and the
        number of rounds.
    """
    pointers = materialise(pointers)
    by_fate, rounds = _count_fates(pointers), 0
    going = 0
    while by_fate.get("goes", 0) not in (0, going):
        going = by_fate["goes"]
        pointers = materialise(_jumped(pointers))
        by_fate, rounds = _count_fates(pointers), rounds + 1
    return pointers, by_fate, rounds


def _jumped(pointers: DataFrame) -> DataFrame:
    """Point where the keepers point."""
    onward = pointers.toDF("keeper_id", "next_id", "next_fate")
    going = pointers.where(F.col("fate") == "goes").drop("fate").join(onward, "keeper_id", "left")
    moved = going.select(
        "image_id",
        F.coalesce("next_id", "keeper_id").alias("keeper_id"),
        F.coalesce("next_fate", F.lit("lost")).alias("fate"),
    )
    return pointers.where(F.col("fate") != "goes").unionByName(moved)


def _count_fates(pointers: DataFrame) -> dict[str, int]:
    return {row["fate"]: row["count"] for row in pointers.groupBy("fate").count().collect()}


def _nearest(pairs: DataFrame, survivor: Column) -> DataFrame:
    """Choose one survivor for each ID: of the least distance, then the smallest ID."""
    best = F.min(F.struct("distance", survivor.alias("survivor")))
    by_id = pairs.groupBy("image_id").agg(best.alias("best"))
    return by_id.select("image_id", F.col("best.survivor").alias("surviving_keeper_id"))


def _reach(
    pairs: DataFrame, settled: DataFrame, materialise: Materialise
) -> tuple[DataFrame | None, int]:
    """Hand survivors on, from settled IDs to those whose keepers they are, until none is left.

    A pair whose keeper has just one keeper itself is replaced by a pair with that one: so that a
    chain of n takes about log2(n) rounds. What only leads to itself drops out.

    Args:
        pairs: `image_id`, `keeper_id`, `distance`; the keepers go, too.
        settled: `image_id`, `surviving_keeper_id`: IDs with a survivor.
        materialise: Evaluates a frame once.

    Returns:
        The other IDs that a survivor was handed on to, None where there are none; and the number
        of rounds.
    """
    reached, frontier, rounds = None, settled, 0
    others = pairs.where(F.col("image_id") != F.col("keeper_id"))
    others = others.groupBy("image_id", "keeper_id").agg(F.min("distance").alias("distance"))
    left = materialise(others.join(settled, "image_id", "left_anti"))
    while not left.isEmpty():
        rounds += 1
        of_keeper = frontier.toDF("keeper_id", "surviving_keeper_id")
        nearest = _nearest(left.join(of_keeper, "keeper_id"), F.col("surviving_keeper_id"))
        frontier = materialise(nearest)
        if frontier.isEmpty():
            break
        reached = frontier if reached is None else reached.unionByName(frontier)
        left = materialise(_shortened(left.join(frontier, "image_id", "left_anti")))
    return reached, rounds


def _shortened(pairs: DataFrame) -> DataFrame:
    """Replace keepers that have a single keeper by that one."""
    only = F.when(F.count(F.lit(1)) == 1, F.first("keeper_id")).alias("only_keeper")
    onward = pairs.groupBy("image_id").agg(only).toDF("keeper_id", "only_keeper")
    replaced = F.coalesce("only_keeper", "keeper_id").alias("keeper_id")
    return (
        pairs.join(onward, "keeper_id", "left")
        .select("image_id", replaced, "distance")
        .where(F.col("image_id") != F.col("keeper_id"))
        .groupBy("image_id", "keeper_id")
        .agg(F.min("distance").alias("distance"))
    )
