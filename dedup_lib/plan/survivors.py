"""Follow the keepers of each removed image to an image that stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Materialise = Callable[[DataFrame], DataFrame]
_SURVIVOR = "surviving_keeper_id"


@dataclass(frozen=True)
class Followed:
    """The result of following the keepers.

    Attributes:
        outcome: One row per ID to remove that has a keeper: `image_id`, `fate` and
            `surviving_keeper_id`. The fate is `here` if the ID has a survivor in the table,
            `elsewhere` if its keepers lead to an image that is not in the table, and `lost` if all
            its keepers are also removed, or lead back to themselves. The survivor is NULL unless
            the fate is `here`.
        num_ids: Number of IDs of each fate.
        dead_ends: `image_id`, `keeper_id`: the pairs of the lost IDs; None if no ID is lost.
        rounds: How often pairs were joined.
    """

    outcome: DataFrame
    num_ids: dict[str, int]
    dead_ends: DataFrame | None
    rounds: int


def pairs_of(rows: DataFrame) -> DataFrame:
    """Return the pairs of image and keeper.

    Args:
        rows: The rows to remove, with `image_id` and `marks`.

    Returns:
        One row per row, keeper and score: `image_id`, `keeper_id`; `distance`, the negative score
        (0 if the list has no scores); `is_only`, true only if the ID has no other keeper.
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
    """Follow the keepers of each ID to one that stays, through chains of removed keepers.

    First, each ID points at its best keeper. The pointers are followed, twice as far each round.
    Some IDs have no result then: their pointers end in a circle; or the pointers pass an ID with
    several keepers, and end outside the table or at a removed ID without a keeper. In a second
    step, all keepers of these IDs are followed.

    Args:
        pairs: The pairs of `pairs_of`.
        removed_ids: `image_id`, one row per ID to remove.
        image_ids: `image_id`, one row per row of the image table.
        materialise: Evaluates a frame once.

    Returns:
        The outcome. If an ID has several keepers, one in the table that stays comes first, then one
        that is removed and may have a keeper itself. Among these the best score comes first, then
        the smallest ID.

    *Nulls:* a NULL keeper is not a keeper.
    *Cost:* one scan of the image IDs; a shuffle of all pairs; then, each round, a shuffle of all
    pointers and of those that do not end yet; only these are written again. A chain of n takes
    about log2(n) rounds, or up to n rounds in the second step.
    """
    known = materialise(_with_fate(pairs, removed_ids, image_ids))
    ends, num_ends, rounds = _followed_pointers(_best(known), materialise)
    if set(num_ends) <= {"here"}:
        here = ends.select("image_id", "fate", _survivor("keeper_id"))
        return Followed(here, num_ends, None, rounds)
    is_settled = (F.col("fate") == "here") | (F.col("is_sure") & (F.col("fate") != "goes"))
    outcome = ends.where(is_settled).select("image_id", "fate", _survivor("keeper_id"))
    rest = known.join(ends.where(~is_settled).select("image_id"), "image_id", "left_semi")
    if not (rest := materialise(rest)).isEmpty():
        for fate in ("here", "elsewhere"):
            reached, more_rounds = _reached(rest, outcome, fate, materialise)
            outcome = outcome.unionByName(reached)
            rest = materialise(rest.join(reached, "image_id", "left_anti"))
            rounds += more_rounds
        lost = rest.select("image_id", F.lit("lost").alias("fate"), _survivor("keeper_id"))
        outcome = outcome.unionByName(lost.dropDuplicates(["image_id"]))
    survivor = F.when(F.col("fate") == "here", F.col(_SURVIVOR)).alias(_SURVIVOR)
    outcome = materialise(outcome.select("image_id", "fate", survivor))
    num_ids = _count_fates(outcome)
    dead_ends = None
    if num_ids.get("lost"):
        lost_ids = outcome.where(F.col("fate") == "lost").select("image_id")
        dead_ends = known.join(lost_ids, "image_id", "left_semi").select("image_id", "keeper_id")
        dead_ends = materialise(dead_ends)
    return Followed(outcome, num_ids, dead_ends, rounds)


def _survivor(column: str) -> Column:
    return F.col(column).alias(_SURVIVOR)


def _with_fate(pairs: DataFrame, removed_ids: DataFrame, image_ids: DataFrame) -> DataFrame:
    """Add `fate`: the keeper `goes` (is removed), stays `here`, or is `elsewhere`."""
    keepers = pairs.select(F.col("keeper_id").alias("image_id"))
    here = image_ids.join(keepers, "image_id", "left_semi").distinct()
    going = removed_ids.withColumn("goes", F.lit(True))
    fate = F.when(F.col("goes"), "goes").otherwise("here").alias("fate")
    fates = here.join(going, "image_id", "left").select(F.col("image_id").alias("keeper_id"), fate)
    joined = pairs.join(fates, "keeper_id", "left")
    fate = F.coalesce("fate", F.lit("elsewhere")).alias("fate")
    return joined.select("image_id", "keeper_id", "distance", "is_only", fate)


def _best(known: DataFrame) -> DataFrame:
    """Choose each ID's best keeper: `image_id`, `keeper_id`, `fate`, `is_sure` (only keeper)."""
    # Aggregation sorts the IDs, so IDs with a single keeper skip it.
    single = known.where("is_only").select("image_id", "keeper_id", "fate").distinct()
    single = single.withColumn("is_sure", F.lit(True))
    several = known.where(~F.col("is_only"))
    order = (
        F.when(F.col("fate") == "here", 0)
        .when(F.col("image_id") == F.col("keeper_id"), 3)
        .when(F.col("fate") == "goes", 1)
        .otherwise(2)
    )
    best = F.min(F.struct(order.alias("order"), "distance", "keeper_id", "fate")).alias("best")
    chosen = several.groupBy("image_id").agg(best)
    chosen = chosen.select("image_id", "best.keeper_id", "best.fate")
    return single.unionByName(chosen.withColumn("is_sure", F.lit(False)))


def _followed_pointers(
    pointers: DataFrame, materialise: Materialise
) -> tuple[DataFrame, dict[str, int], int]:
    """Follow pointers until each one ends or leads into a circle.

    Returns:
        One row per ID: `image_id`; `keeper_id`, the ID where its pointers end; `fate` of that end:
        `lost` is a removed ID without a keeper, `goes` an ID in a circle; `is_sure`, whether no ID
        on the way has another keeper (without meaning in a circle). Then the number of IDs of each
        fate; and the number of rounds.
    """
    is_going = F.col("fate") == "goes"
    pointers = moved = materialise(pointers)
    num_ids, last, rounds = Counter(_count_fates(pointers)), 0, 0
    while num_ids["goes"] not in (0, last):
        last = num_ids.pop("goes")
        moved = materialise(_jumped(moved.where(is_going), pointers))
        # Pointers that ended are not written again.
        pointers = pointers.where(~is_going).unionByName(moved)
        num_ids.update(_count_fates(moved))
        rounds += 1
    return pointers, {fate: number for fate, number in num_ids.items() if number}, rounds


def _count_fates(rows: DataFrame) -> dict[str, int]:
    return {row["fate"]: row["count"] for row in rows.groupBy("fate").count().collect()}


def _jumped(going: DataFrame, pointers: DataFrame) -> DataFrame:
    """Return the pointers at removed keepers, each replaced by the keeper of that keeper."""
    onward = pointers.toDF("keeper_id", "next_id", "next_fate", "is_next_sure")
    return (
        going.drop("fate")
        .join(onward, "keeper_id", "left")
        .select(
            "image_id",
            F.coalesce("next_id", "keeper_id").alias("keeper_id"),
            F.coalesce("next_fate", F.lit("lost")).alias("fate"),
            (F.col("is_sure") & F.coalesce("is_next_sure", F.lit(True))).alias("is_sure"),
        )
    )


def _reached(
    rest: DataFrame, outcome: DataFrame, fate: str, materialise: Materialise
) -> tuple[DataFrame, int]:
    """Find the IDs with a keeper that leads to this fate, as `outcome`; and count the rounds."""
    direct = materialise(_nearest(rest.where(F.col("fate") == fate), F.col("keeper_id")))
    settled = outcome.where(F.col("fate") == fate).select("image_id", _SURVIVOR)
    going = rest.where(F.col("fate") == "goes")
    more, rounds = _reach(going, settled.unionByName(direct), materialise)
    reached = direct if more is None else direct.unionByName(more)
    return reached.withColumn("fate", F.lit(fate)), rounds


def _nearest(pairs: DataFrame, survivor: Column) -> DataFrame:
    """Choose one survivor for each ID: the smallest distance, then the smallest ID."""
    best = F.min(F.struct("distance", survivor.alias("survivor")))
    by_id = pairs.groupBy("image_id").agg(best.alias("best"))
    return by_id.select("image_id", _survivor("best.survivor"))


def _reach(
    pairs: DataFrame, settled: DataFrame, materialise: Materialise
) -> tuple[DataFrame | None, int]:
    """Pass survivors on, from settled IDs to the IDs that they are keepers of, until all have one.

    If a keeper has exactly one keeper, that keeper replaces it in the pair. So a chain of n takes
    about log2(n) rounds. IDs that lead only to themselves are dropped.

    Args:
        pairs: `image_id`, `keeper_id`, `distance`; the keepers are also removed.
        settled: `image_id`, `surviving_keeper_id`: IDs with a survivor.
        materialise: Evaluates a frame once.

    Returns:
        The IDs that received a survivor, without the settled IDs; None if no ID received one. Then
        the number of rounds.
    """
    reached, frontier, rounds = None, settled, 0
    others = pairs.where(F.col("image_id") != F.col("keeper_id"))
    others = others.groupBy("image_id", "keeper_id").agg(F.min("distance").alias("distance"))
    left = materialise(others.join(settled, "image_id", "left_anti"))
    while not left.isEmpty():
        rounds += 1
        of_keeper = frontier.toDF("keeper_id", _SURVIVOR)
        nearest = _nearest(left.join(of_keeper, "keeper_id"), F.col(_SURVIVOR))
        frontier = materialise(nearest)
        if frontier.isEmpty():
            break
        reached = frontier if reached is None else reached.unionByName(frontier)
        left = materialise(_shortened(left.join(frontier, "image_id", "left_anti")))
    return reached, rounds


def _shortened(pairs: DataFrame) -> DataFrame:
    """Replace each keeper that has a single keeper by that keeper."""
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
