"""Choose the removed rows that a review shows, and find their keepers. Only IDs are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.tables.id_types import ImageId
from dedup_lib.tables.image_table import ImageTable

# The rows with the lowest scores alone would say nothing about the rest.
_RANDOM_FRACTION = 0.2


class RowLocation(NamedTuple):
    """The file and index of a row, as `_metadata` spells them; some tables offer no index."""

    file_path: str
    row_index: int | None


@dataclass(frozen=True)
class RemovedRow:
    """A row that is removed.

    Attributes:
        image_id: The ID.
        location: The location of the row.
        keeper_id: The surviving keeper; None if it is unknown.
        score: The best score in the lists; None if the lists have no score for the ID.
        reasons: The list entries with the ID: list_location, list_kind, keeper_id and score.
    """

    image_id: ImageId
    location: RowLocation
    keeper_id: ImageId | None = field(compare=False)
    score: float | None = field(compare=False)
    reasons: Sequence[Any] = field(compare=False)


@dataclass(frozen=True)
class Sample:
    """Some removed rows, and a sentence that says how they were chosen."""

    rows: Sequence[RemovedRow]
    described: str


def choose(images: ImageTable, rows: DataFrame, num_rows: int, removed_rows: int) -> Sample:
    """Choose rows of a plan: the rows with the lowest scores, and some random rows.

    The same plan gives the same rows.

    Args:
        images: The image table.
        rows: A materialised plan.
        num_rows: The most rows to choose.
        removed_rows: The number of rows in the plan.

    *Cost:* two passes over the plan; each task returns only the rows that it chooses.
    """
    score = F.array_max(F.transform("reasons", lambda reason: reason["score"]))
    scored = rows.withColumn("score", score)
    chance: list[str | Column] = [F.xxhash64("image_id"), "file_path", "row_index"]
    num_lowest = num_rows - max(int(num_rows * _RANDOM_FRACTION), 1)
    lowest = scored.where(F.col("score").isNotNull()).sort("score", *chance).limit(num_lowest)
    chosen = dict.fromkeys(_removed(images, row) for row in lowest.collect())
    num_chosen = len(chosen)
    for row in scored.sort(*chance).limit(num_rows).collect():
        if len(chosen) < num_rows:
            chosen.setdefault(_removed(images, row))
    described = _described(num_chosen, len(chosen) - num_chosen, len(chosen) >= removed_rows)
    return Sample(list(chosen), described)


def _removed(images: ImageTable, row: Any) -> RemovedRow:
    return RemovedRow(
        image_id=images.shown(row["image_id"]),
        location=RowLocation(row["file_path"], row["row_index"]),
        keeper_id=images.shown(row["surviving_keeper_id"]),
        score=row["score"],
        reasons=[
            reason.asDict() | {"keeper_id": images.shown(reason["keeper_id"])}
            for reason in row["reasons"]
        ],
    )


def _described(num_lowest: int, num_random: int, are_all: bool) -> str:
    if are_all:
        return ""
    drawn = f"{num_random:,} are drawn at random, by a hash of the ID"
    return f"{num_lowest:,} have the lowest scores, {drawn}." if num_lowest else f"{drawn}."


def keepers_of(rows: Sequence[RemovedRow]) -> list[ImageId]:
    """Return the distinct keepers of some rows, in the order of the rows."""
    return list(dict.fromkeys(row.keeper_id for row in rows if row.keeper_id is not None))


def find_row_locations(images: ImageTable, ids: Sequence[ImageId]) -> dict[ImageId, RowLocation]:
    """Find the first row of each of a few IDs; there is no entry for an ID without a row.

    *Cost:* one scan of the image IDs.
    """
    if not ids:
        return {}
    found = images.located_ids.where(images.is_one_of(F.col("image_id"), ids)).groupBy("image_id")
    first = found.agg(F.min(F.struct("file_path", "row_index")).alias("location")).collect()
    return {images.shown(row["image_id"]): RowLocation(*row["location"]) for row in first}


def group_sizes(
    images: ImageTable, rows: DataFrame, keepers: Sequence[ImageId]
) -> tuple[dict[int, int], dict[Any, int]]:
    """Count the images in each group: the image that stays, and the rows removed in its favour.

    Returns:
        The number of groups of each size, and the sizes of the groups of some keepers.

    *Cost:* two passes over the plan, with a shuffle of IDs.
    """
    kept = F.col("surviving_keeper_id")
    sizes = rows.where(kept.isNotNull()).groupBy(kept).agg((F.count(F.lit(1)) + 1).alias("size"))
    counted = sizes.groupBy("size").agg(F.count(F.lit(1)).alias("groups")).collect()
    of_keepers = sizes.where(images.is_one_of(kept, keepers)).collect() if keepers else []
    return (
        {row["size"]: row["groups"] for row in counted},
        {images.shown(row["surviving_keeper_id"]): row["size"] for row in of_keepers},
    )


def removed_by_file(rows: DataFrame) -> dict[str, int]:
    """Count the removed rows of each file, by its path as `_metadata` spells it."""
    counted = rows.groupBy("file_path").agg(F.count(F.lit(1)).alias("num_rows")).collect()
    return {row["file_path"]: row["num_rows"] for row in counted}
