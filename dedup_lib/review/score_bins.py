"""Count the scores of all pairs in bins, including scores below the threshold."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from operator import add

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.review.data import Bin, Scores, bin_edges


def count_scores(pairs: DataFrame, eps: float) -> Scores | None:
    """Count scores in bins; None if there are no scores.

    Args:
        pairs: One row per pair, with the column `score`.
        eps: An image is removed if its score is at least 1 - eps.

    *Nulls:* a NULL or NaN does not count as a score.
    *Cost:* two passes over the pairs.
    """
    scores = pairs.select("score").where(F.col("score").isNotNull() & ~F.isnan("score"))
    least, most = scores.agg(F.min("score"), F.max("score")).collect()[0]
    if least is None:
        return None
    edges = bin_edges(least, most, 1.0 - eps)
    above = reduce(add, [(F.col("score") >= edge).cast("int") for edge in edges[1:-1]], F.lit(0))
    rows = scores.groupBy(above.alias("bin")).agg(F.count(F.lit(1)).alias("pairs")).collect()
    counts = {row["bin"]: row["pairs"] for row in rows}
    return Scores(
        [Bin(*both, counts.get(place, 0)) for place, both in enumerate(pairwise(edges))], eps
    )
