"""Find the surviving keeper of each removed image, and spare one image of each lost cluster."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from dedup_lib.plan.clusters import clusters
from dedup_lib.plan.groups import Ranking
from dedup_lib.plan.survivors import Materialise, follow, pairs_of
from dedup_lib.settings import OnLostKeeper

_EXAMPLES = 5


@dataclass(frozen=True)
class KeeperCounts:
    """The results of following the keepers. All counts except `rounds` are counts of IDs to remove.

    Attributes:
        with_keeper_ids: IDs with a keeper in a list.
        surviving_here_ids: IDs with a survivor in this table.
        surviving_elsewhere_ids: IDs whose keepers lead to an image that is not in this table.
        lost_ids: IDs without a survivor, before any ID was spared.
        spared_ids: IDs that stay after all: one for each cluster that would have been lost.
        rounds: How many times the keepers were joined with each other.
        examples: Some of the lost IDs.
    """

    with_keeper_ids: int
    surviving_here_ids: int
    surviving_elsewhere_ids: int
    lost_ids: int
    spared_ids: int
    rounds: int
    examples: tuple[Any, ...]

    def described(self) -> dict[str, Any]:
        """Return the counts, for the report."""
        return {key: value for key, value in asdict(self).items() if key != "examples"}


def resolve_keepers(
    rows: DataFrame,
    image_ids: DataFrame,
    ranking: Ranking,
    on_lost: OnLostKeeper,
    materialise: Materialise,
) -> tuple[DataFrame, KeeperCounts]:
    """Find the surviving keeper of each row to remove, and spare rows of lost clusters.

    Args:
        rows: The rows to remove, with `marks`.
        image_ids: `image_id`, one row per row of the image table.
        ranking: The order of the table's images; it decides which one is spared.
        on_lost: `keep-one` spares one ID of each cluster that would lose all its images. Other
            values spare nothing.
        materialise: Evaluates a frame once.

    Returns:
        The rows to remove, with `surviving_keeper_id`; and the counts.
    """
    removed_ids = rows.select("image_id").repartition("image_id").distinct()
    followed = follow(pairs_of(rows), removed_ids, image_ids, materialise)
    num_ids = followed.num_ids
    survivors = followed.outcome.select("image_id", "surviving_keeper_id")
    lost = followed.outcome.where(F.col("fate") == "lost").select("image_id")
    spared_ids = 0
    if on_lost == "keep-one" and followed.dead_ends is not None:
        saved = materialise(_saved(rows, lost, followed.dead_ends, ranking, materialise))
        spared = saved.where(F.col("image_id") == F.col("surviving_keeper_id"))
        spared_ids = spared.count()
        survivors = survivors.join(lost, "image_id", "left_anti").unionByName(saved)
        rows = rows.join(spared.select("image_id"), "image_id", "left_anti")
    examples = lost.sort("image_id").head(_EXAMPLES) if num_ids.get("lost") else []
    counts = KeeperCounts(
        with_keeper_ids=sum(num_ids.values()),
        surviving_here_ids=num_ids.get("here", 0),
        surviving_elsewhere_ids=num_ids.get("elsewhere", 0),
        lost_ids=num_ids.get("lost", 0),
        spared_ids=spared_ids,
        rounds=followed.rounds,
        examples=tuple(row["image_id"] for row in examples),
    )
    return materialise(rows.join(survivors, "image_id", "left")), counts


def _saved(
    rows: DataFrame,
    lost: DataFrame,
    dead_ends: DataFrame,
    ranking: Ranking,
    materialise: Materialise,
) -> DataFrame:
    """Choose the best image of each lost cluster: `image_id`, `surviving_keeper_id`.

    The chosen image becomes its own survivor. An image that a list names without a keeper is chosen
    only if the cluster has no other image.
    """
    of_cluster = clusters(dead_ends, materialise)
    is_named = F.exists("marks", lambda mark: mark["keeper_id"].isNull())
    named = rows.groupBy("image_id").agg(F.max(is_named).alias("is_named"))
    known = lost.join(of_cluster, "image_id").join(named, "image_id")
    best = Window.partitionBy("cluster").orderBy("is_named", *ranking.best_first)
    chosen = F.first("image_id").over(best).alias("surviving_keeper_id")
    return known.join(ranking.frame, "image_id").select("image_id", chosen)
