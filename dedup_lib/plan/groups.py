"""Choose which image of each duplicate group stays, where a list names all members."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from dedup_lib.session.sql_names import quoted
from dedup_lib.settings.values import KeeperRule
from dedup_lib.tables.image_table import ImageTable


@dataclass(frozen=True)
class Ranking:
    """An order of the images, from best to worst.

    Attributes:
        frame: One row per ID of the image table: `image_id`, and `rank`, the value that the rule
            compares. Rows that share an ID have the best value among them. The rank is NULL if the
            rule compares IDs.
        rule: Which rank is the best.
    """

    frame: DataFrame
    rule: KeeperRule

    @property
    def best_first(self) -> list[Column]:
        """The order of `rank` and `image_id` in which the best image comes first."""
        order = F.desc_nulls_last if self.rule.is_largest else F.asc_nulls_last
        return [order("rank"), F.asc("image_id")]


def ranking_of(images: ImageTable, rule: KeeperRule) -> Ranking:
    """Rank the images of a table, lazily, by one of its columns or by their IDs."""
    frame = images.frame
    value = F.lit(None).cast("int") if rule.column is None else _value_of(frame, rule.column)
    best = F.max("rank") if rule.is_largest else F.min("rank")
    ranked = frame.select(images.id, value.alias("rank")).where(F.col("image_id").isNotNull())
    return Ranking(ranked.groupBy("image_id").agg(best.alias("rank")), rule)


def _value_of(images: DataFrame, column: str) -> Column:
    value = F.col(quoted(column))
    if images.schema[column].dataType.simpleString() in ("float", "double"):
        return F.when(~F.isnan(value), value)  # Spark sorts NaN last, as if it were the largest
    return value


def pairs(members: DataFrame, ranking: Ranking) -> DataFrame:
    """Pair each member of a group, except the best, with the best member: its keeper.

    Only members that are in the table are paired, so at least one of them stays.

    Args:
        members: `image_id` and `group_id`, one row per member of a group.
        ranking: The order of the table's images.

    Returns:
        One row per member to remove: `image_id`, `keeper_id`.

    *Nulls:* a row with a NULL group is in no group.
    *Cost:* a join of IDs with IDs, and a shuffle of the members that are in the table.
    """
    known = members.where(F.col("group_id").isNotNull()).join(ranking.frame, "image_id")
    group = Window.partitionBy("group_id").orderBy(*ranking.best_first)
    chosen = known.withColumn("keeper_id", F.first("image_id").over(group))
    is_other = F.col("image_id") != F.col("keeper_id")
    return chosen.where(is_other).select("image_id", "keeper_id")
