"""Choose which image of each duplicate group stays, where a list names all members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import starmap

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from dedup_lib.plan.clusters import clusters
from dedup_lib.plan.protected_rows import marked
from dedup_lib.session.sql_names import quoted
from dedup_lib.settings import Condition
from dedup_lib.settings.values import KeeperRule
from dedup_lib.tables.image_table import ImageTable


@dataclass(frozen=True)
class Ranking:
    """An order of the images, from best to worst.

    Attributes:
        frame: One row per ID of the image table: `image_id`, and `rank_0`, `rank_1`, …, the values
            that the rules compare. Rows that share an ID have the best of their values in each.
        rules: Which value of each rank is the best. The first rank that differs decides. If none
            differs, the smallest ID is the best.
    """

    frame: DataFrame
    rules: Sequence[KeeperRule]

    @property
    def best_first(self) -> list[Column]:
        """The order of the ranks and `image_id` in which the best image comes first."""
        return [*starmap(_order_of, enumerate(self.rules)), F.asc("image_id")]


def _order_of(index: int, rule: KeeperRule) -> Column:
    order = F.desc_nulls_last if rule.is_largest else F.asc_nulls_last
    return order(f"rank_{index}")


def ranking_of(
    images: ImageTable, rules: Sequence[KeeperRule], first: Condition | None = None
) -> Ranking:
    """Rank the images of a table, lazily, by some of its columns, and then by their IDs.

    Args:
        images: The image table.
        rules: Which value of each column is the best.
        first: Images for which this condition is true are better than all others.
    """
    compared = images.compared
    values = [_value_of(compared, rule.column) for rule in rules]
    if first is not None:
        rules = [KeeperRule("is_protected", is_largest=True), *rules]
    names = [f"rank_{index}" for index in range(len(rules))]
    if first is None:
        ranked = compared.select(images.id, *map(Column.alias, values, names))
    else:
        others = list(map(Column.alias, values, names[1:]))
        ranked = marked(images, first, others).withColumnRenamed("is_protected", names[0])
    ranked = ranked.where(F.col("image_id").isNotNull())
    if not rules:
        return Ranking(ranked.distinct(), rules)
    best = [
        (F.max if rule.is_largest else F.min)(name).alias(name)
        for rule, name in zip(rules, names, strict=True)
    ]
    return Ranking(ranked.groupBy("image_id").agg(*best), rules)


def _value_of(compared: DataFrame, column: str) -> Column:
    value = F.col(quoted(column))
    if compared.schema[column].dataType.simpleString() in ("float", "double"):
        return F.when(~F.isnan(value), value)  # Spark sorts NaN last, as if it were the largest
    return value


def members_of(entries: DataFrame, materialise: Callable[[DataFrame], DataFrame]) -> DataFrame:
    """Find the groups of images that pairs connect, directly or through other images.

    Args:
        entries: `image_id`, `partner_id`: one row per pair, in either direction.
        materialise: Evaluates a frame once.

    Returns:
        One row per member of a group: `image_id`, and `group_id`, the smallest ID of the group.

    *Nulls:* a pair without one of its images connects nothing.
    *Cost:* that of `clusters`.
    """
    edges = entries.select("image_id", "partner_id").dropna()
    return clusters(edges, materialise).withColumnRenamed("cluster", "group_id")


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
