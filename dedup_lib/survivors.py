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
        One row per ID and keeper: `image_id`, `keeper_id`, and `distance`, minus the best score
        (0 where lists have none).
    """
    mark = F.explode("marks").alias("mark")
    distance = F.coalesce(-F.col("mark.score"), F.lit(0.0))
    return (
        rows.select("image_id", mark)
        .select("image_id", F.col("mark.keeper_id").alias("keeper_id"), distance.alias("distance"))
        .where(F.col("keeper_id").isNotNull())
        .groupBy("image_id", "keeper_id")
        .agg(F.min("distance").alias("distance"))
    )


def follow(
    pairs: DataFrame, removed_ids: DataFrame, image_ids: DataFrame, materialise: Materialise
) -> Followed:
    """Follow the keepers of each ID to one that stays, through chains of keepers that go.

    Args:
        pairs: As `pairs_of` makes them.
        removed_ids: `image_id`, one row per ID that goes.
        image_ids: `image_id`, one row per row of the image table.
        materialise: Evaluates a frame once.

    Returns:
        What came of it. Where an ID has several keepers, the nearest survivor is taken; of
        several as near that of the best score, then the smallest ID.

    *Nulls:* a NULL keeper is none.
    *Cost:* one scan of the image IDs; then, round by round, joins of what is left of the pairs.
    Chains are shortened while they are followed: their length doubles with each round.
    """
    known = materialise(_with_fate(pairs, removed_ids, image_ids))
    stays = _nearest(known.where(F.col("fate") == "stays"), F.col("keeper_id"))
    here, rounds = _reach(known.where(F.col("fate") == "goes"), stays, materialise)
    outcome = here.withColumn("fate", F.lit("here"))
    rest = materialise(known.join(here, "image_id", "left_anti"))
    if rest.isEmpty():
        return Followed(outcome, None, rounds)
    absent = _nearest(rest.where(F.col("fate") == "elsewhere"), F.col("keeper_id"))
    elsewhere, more_rounds = _reach(rest.where(F.col("fate") == "goes"), absent, materialise)
    dead_ends = rest.join(elsewhere, "image_id", "left_anti").select("image_id", "keeper_id")
    lost = dead_ends.select("image_id").distinct()
    for ids, fate in ((elsewhere.select("image_id"), "elsewhere"), (lost, "lost")):
        unknown = F.lit(None).cast(here.schema["surviving_keeper_id"].dataType)
        told = ids.withColumns({"surviving_keeper_id": unknown, "fate": F.lit(fate)})
        outcome = outcome.unionByName(told)
    return Followed(materialise(outcome), materialise(dead_ends), rounds + more_rounds)


def _with_fate(pairs: DataFrame, removed_ids: DataFrame, image_ids: DataFrame) -> DataFrame:
    """Add `fate`: whether the keeper `goes`, `stays`, or is `elsewhere`."""
    keepers = pairs.select(F.col("keeper_id").alias("image_id")).distinct()
    going = removed_ids.withColumn("fate", F.lit("goes"))
    told = keepers.join(going, "image_id", "left")
    others = told.where(F.col("fate").isNull()).select("image_id")
    staying = image_ids.join(others, "image_id", "left_semi").distinct()
    fates = told.join(staying.withColumn("is_here", F.lit(True)), "image_id", "left")
    fate = F.coalesce("fate", F.when(F.col("is_here"), "stays").otherwise("elsewhere"))
    by_keeper = fates.select(F.col("image_id").alias("keeper_id"), fate.alias("fate"))
    return pairs.join(by_keeper, "keeper_id").select("image_id", "keeper_id", "distance", "fate")


def _nearest(pairs: DataFrame, survivor: Column) -> DataFrame:
    """Choose one survivor for each ID: of the least distance, then the smallest ID."""
    best = F.min(F.struct("distance", survivor.alias("survivor")))
    by_id = pairs.groupBy("image_id").agg(best.alias("best"))
    return by_id.select("image_id", F.col("best.survivor").alias("surviving_keeper_id"))


def _reach(pairs: DataFrame, settled: DataFrame, materialise: Materialise) -> tuple[DataFrame, int]:
    """Hand survivors on, from settled IDs to those whose keepers they are, until none is left.

    A pair whose keeper has just one keeper itself is replaced by a pair with that one: so that a
    chain of n takes about log2(n) rounds. What only leads to itself drops out.

    Args:
        pairs: `image_id`, `keeper_id`, `distance`; the keepers go, too.
        settled: `image_id`, `surviving_keeper_id`: IDs with a direct survivor.
        materialise: Evaluates a frame once.

    Returns:
        All IDs with a survivor, and the number of rounds.
    """
    settled = materialise(settled)
    everyone, frontier, rounds = settled, settled, 0
    others = pairs.where(F.col("image_id") != F.col("keeper_id"))
    left = materialise(others.join(settled, "image_id", "left_anti"))
    while not left.isEmpty():
        rounds += 1
        of_keeper = frontier.toDF("keeper_id", "surviving_keeper_id")
        reached = left.join(of_keeper, "keeper_id")
        frontier = materialise(_nearest(reached, F.col("surviving_keeper_id")))
        if frontier.isEmpty():
            break
        everyone = everyone.unionByName(frontier)
        left = materialise(_shortened(left.join(frontier, "image_id", "left_anti")))
    return everyone, rounds


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
