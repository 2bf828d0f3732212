"""Find clusters of images that duplicate one another, directly or through other images."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def clusters(pairs: DataFrame, materialise: Callable[[DataFrame], DataFrame]) -> DataFrame:
    """Find the connected components of a graph.

    Args:
        pairs: One row per edge, in either direction: the IDs of two images.
        materialise: Evaluates a frame once.

    Returns:
        One row per ID of either column: `image_id`, and `cluster`, the smallest ID of its cluster.

    *Cost:* two joins of the edges per round. The number of rounds grows about with the logarithm of
    the longest path.
    """
    there, back = pairs.toDF("image_id", "other"), pairs.toDF("other", "image_id")
    edges = materialise(there.unionByName(back).distinct())
    smallest = F.least("image_id", F.min("other")).alias("cluster")
    labels = materialise(edges.groupBy("image_id").agg(smallest))
    while True:
        lowered = materialise(_lowered(edges, labels))
        changed = lowered.join(labels.toDF("image_id", "before"), "image_id")
        if changed.where(F.col("cluster") != F.col("before")).isEmpty():
            return lowered
        labels = lowered


def _lowered(edges: DataFrame, labels: DataFrame) -> DataFrame:
    """Take the smallest label among an ID's neighbours, then the label of that label."""
    of_other = labels.toDF("other", "of_other")
    near = edges.join(of_other, "other").groupBy("image_id").agg(F.min("of_other").alias("near"))
    least = labels.join(near, "image_id").select(
        "image_id", F.least("cluster", "near").alias("cluster")
    )
    of_cluster = labels.toDF("cluster", "of_cluster")
    return least.join(of_cluster, "cluster").select(
        "image_id", F.least("cluster", "of_cluster").alias("cluster")
    )
