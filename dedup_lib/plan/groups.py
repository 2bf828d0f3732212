"""Groups of duplicates, every member named: choose which one stays."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from dedup_lib.session.sql_names import quoted, values_of
from dedup_lib.settings.values import KeeperRule


@dataclass(frozen=True)
class Ranking:
    """Which image is better than which.

    Attributes:
        frame: One row per ID of the image table: `image_id`, and `rank`, the value that the rule
            goes by (of rows that share an ID the best; NULL for the rule that goes by the ID).
        rule: Which rank is the best.
    """

    frame: DataFrame
    rule: KeeperRule

    @property
    def best_first(self) -> list[Column]:
        """The order of `rank` and `image_id` in which the best image comes first."""
        order = F.desc_nulls_last if self.rule.is_largest else F.asc_nulls_last
        return [order("rank"), F.asc("image_id")]


def ranking_of(images: DataFrame, image_id_column: str, rule: KeeperRule) -> Ranking:
    """Rank the images of a table, lazily, by one of its columns or by their IDs."""
    image_id = values_of(image_id_column).alias("image_id")
    value = F.lit(None).cast("int") if rule.column is None else _value_of(images, rule.column)
    best = F.max("rank") if rule.is_largest else F.min("rank")
    ranked = images.select(image_id, value.alias("rank")).where(F.col("image_id").isNotNull())
    return Ranking(ranked.groupBy("image_id").agg(best.alias("rank")), rule)


def _value_of(images: DataFrame, column: str) -> Column:
    value = F.col(quoted(column))
    if images.schema[column].dataType.simpleString() in ("float", "double"):
        return F.when(~F.isnan(value), value)  # NaN, which Spark takes for the largest, is no value
    return value


def pairs(members: DataFrame, ranking: Ranking) -> DataFrame:
    """Pair each member of a group but the best with the best: its keeper.

    Only images of the table are looked at: a group never loses all that the table has of it.

    Args:
        members: `image_id` and `group_id`, one row per member of a group.
        ranking: Of the images of the table.

    Returns:
        One row per member that goes: `image_id`, `keeper_id`.

    *Nulls:* a NULL group is no group.
    *Cost:* a join of IDs with IDs, and a shuffle of the members that are in the table.
    """
    known = members.where(F.col("group_id").isNotNull()).join(ranking.frame, "image_id")
    group = Window.partitionBy("group_id").orderBy(*ranking.best_first)
    chosen = known.withColumn("keeper_id", F.first("image_id").over(group))
    is_other = F.col("image_id") != F.col("keeper_id")
    return chosen.where(is_other).select("image_id", "keeper_id")
