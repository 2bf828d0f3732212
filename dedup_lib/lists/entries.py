"""Check the entries of lists with pairs or groups: scores, other images, sizes of groups."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType

from dedup_lib.errors import AmbiguousListError, UnreadableFileError
from dedup_lib.lists.content import PROBED_VALUES
from dedup_lib.lists.removal_list import RemovalList
from dedup_lib.lists.shape import DEFAULT_ID_COLUMN, ID_FLAG, KIND_FLAG
from dedup_lib.tables.id_types import as_text, shown

_log = logging.getLogger(__name__)
# Scores may be off by so much: a cosine similarity in half precision may be a little more than 1.
_TOLERANCE = 0.005
# A group is warned of if it has so many members, and so many times those of the next largest.
_LARGE_GROUP, _TIMES_LARGER = 100, 10


def check_entries(removal_list: RemovalList, image_ids: Callable[[], DataFrame]) -> None:
    """Check what a list says about its IDs, and warn of groups that are no duplicates.

    Args:
        removal_list: The list.
        image_ids: Returns `image_id`, one row per row of the image table.

    Raises:
        AmbiguousListError: A score can't have its meaning, or there is no score at all; or a column
            that the user maps to other images names none.
        UnreadableFileError: As for `check_header`.

    *Cost:* for pairs, one pass over them, and one over some others; for groups, one over the
    groups, with a shuffle.
    """
    check_header(removal_list, image_ids)
    if removal_list.pairs is not None:
        _check_pairs(removal_list, removal_list.pairs, image_ids)
    elif removal_list.kind == "groups":
        warn_of_groups(removal_list.location, removal_list.frame)


def check_header(item: RemovalList, image_ids: Callable[[], DataFrame]) -> None:
    """Refuse a list without a header: its first line is an image ID.

    Raises:
        UnreadableFileError: The list has no header.

    *Cost:* one scan of the image IDs, if the header may be an ID: a CSV whose ID column is not `id`
    and not named by the user.
    """
    if item.header in (None, DEFAULT_ID_COLUMN):
        return
    ids = image_ids()
    id_type = ids.schema["image_id"].dataType
    header = str(item.header)
    if isinstance(id_type, BinaryType):
        header = header.replace("-", "").lower()
    if not ids.where(as_text(F.col("image_id"), id_type) == F.lit(header)).isEmpty():
        raise UnreadableFileError(
            f"list {item.location!r}: its first line should name the columns, but {item.header!r} "
            f"is an image ID. Add a first line, such as {DEFAULT_ID_COLUMN!r}. If it is a name: "
            f"{ID_FLAG} {item.header}."
        )


def _check_pairs(
    removal_list: RemovalList, pairs: DataFrame, image_ids: Callable[[], DataFrame]
) -> None:
    shape = removal_list.shape
    other = "keeper_id" if shape.keeper_column is not None else "partner_id"
    is_scored = shape.score_column is not None
    score = F.nanvl("score", F.lit(None)) if is_scored else F.lit(0.0)
    found = pairs.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count(other).alias("pairs"),
        F.count(score).alias("scores"),
        F.min(score).alias("least"),
        F.max(score).alias("most"),
    ).collect()[0]
    if is_scored:
        _check_scores(removal_list, found)
    if shape.names_only_duplicates:
        return
    if alone := found["rows"] - found["pairs"]:
        _log.warning(
            "%r: %d rows name no other image: by these rows, no image goes",
            removal_list.location,
            alone,
        )
    if found["pairs"]:
        _check_others(
            removal_list, pairs.select("image_id", F.col(other).alias("other")), image_ids
        )


def _check_scores(removal_list: RemovalList, found: Row) -> None:
    shape, what = removal_list.shape, f"removal list {removal_list.location!r}"
    if found["rows"] and not found["scores"]:
        raise AmbiguousListError(
            f"{what}: column {shape.score_column!r} has no score (NULL or NaN in all "
            f"{found['rows']} rows). Name the column that has scores: --score-column."
        )
    least, most = found["least"], found["most"]
    if most is None:
        return
    if shape.score_means == "similarity" and not -1 - _TOLERANCE <= least <= most <= 1 + _TOLERANCE:
        extreme = most if most > 1 + _TOLERANCE else least
        raise AmbiguousListError(
            f"{what}: column {shape.score_column!r} has the score {extreme:g}, but a similarity is "
            "from -1 to 1. It may hold distances or percentages: then other images would be "
            "removed. For distances: --score-means distance and --max-distance. Otherwise give "
            f"similarities; or name the kind of all its IDs: {KIND_FLAG} remove or {KIND_FLAG} "
            "keep."
        )
    if shape.score_means == "distance" and least < -_TOLERANCE:
        raise AmbiguousListError(
            f"{what}: column {shape.score_column!r} has the score {least:g}, but a distance is not "
            "negative. For similarities: --score-means similarity and --eps."
        )
    if unscored := found["rows"] - found["scores"]:
        _log.warning(
            "%r: %d of %d rows have no score (NULL or NaN): they are not taken for duplicates",
            removal_list.location,
            unscored,
            found["rows"],
        )


def _check_others(
    removal_list: RemovalList, pairs: DataFrame, image_ids: Callable[[], DataFrame]
) -> None:
    """Refuse a list whose other images are neither in its ID column nor in the image table."""
    others = pairs.where("other IS NOT NULL").select(F.col("other").alias("image_id"))
    listed = pairs.select("image_id")
    # Usually one of the first is found.
    probe = F.broadcast(others.limit(PROBED_VALUES).distinct())
    for known in (listed, image_ids()):
        if not known.join(probe, "image_id", "left_semi").isEmpty():
            return
    if others.join(image_ids(), "image_id", "left_semi").isEmpty():
        column = removal_list.shape.other_id_column
        raise AmbiguousListError(
            f"removal list {removal_list.location!r}: no value of column {column!r} is an image "
            "ID. So it may not hold the other image of each pair. Name the column that does: "
            "--keeper-column or --partner-column."
        )


def warn_of_groups(location: str, members: DataFrame) -> None:
    """Warn of IDs without a group, and of a group that dwarfs all others.

    Args:
        location: The list.
        members: `image_id` and `group_id`, one row per member of a group.
    """
    sizes = members.where("image_id IS NOT NULL").groupBy("group_id").count()
    has_none = F.col("group_id").isNull()
    # The IDs without a group, if there are any, and then the two largest groups.
    found = sizes.orderBy(has_none.desc(), F.desc("count")).limit(3).collect()
    for row in found:
        if row["group_id"] is None:
            _log.warning(
                "%r: %d IDs have no group (NULL, an empty text or -1): they stay, as single images",
                location,
                row["count"],
            )
    named = [row for row in found if row["group_id"] is not None]
    if named and named[0]["count"] >= _LARGE_GROUP:
        next_largest = named[1]["count"] if len(named) > 1 else 1
        if named[0]["count"] >= _TIMES_LARGER * next_largest:
            _log.warning(
                "%r: group %r has %d IDs, the next largest has %d: only one of them stays; make "
                "sure that they are duplicates",
                location,
                shown(named[0]["group_id"]),
                named[0]["count"],
                next_largest,
            )
