"""Check the entries of lists with groups or scores: sizes of groups, ranges of scores."""

from __future__ import annotations

import logging

from pyspark.sql import functions as F

from dedup_lib.errors import AmbiguousListError
from dedup_lib.lists.removal_list import RemovalList
from dedup_lib.lists.shape import KIND_FLAG

_log = logging.getLogger(__name__)
# A cosine similarity is at most 1. In half precision it may be a little more.
_LARGEST_SCORE = 1.005
# A group is warned of if it has so many members, and so many times those of the next largest.
_LARGE_GROUP, _TIMES_LARGER = 100, 10


def check_entries(removal_list: RemovalList) -> None:
    """Check what a list says about its IDs, and warn of groups that are no duplicates.

    Raises:
        AmbiguousListError: A score is too large for a similarity.

    *Cost:* for pairs, one pass over their scores; for groups, one over the groups, with a shuffle.
    """
    if removal_list.kind == "pairwise":
        _check_scores(removal_list)
    elif removal_list.kind == "groups":
        _warn_of_groups(removal_list)


def _check_scores(pairs: RemovalList) -> None:
    largest = pairs.frame.agg(F.max("score")).collect()[0][0]
    if largest is not None and largest > _LARGEST_SCORE:
        raise AmbiguousListError(
            f"removal list {pairs.location!r}: column {pairs.shape.score_column!r} has the score "
            f"{largest:g}, but a similarity is at most 1. It may hold distances or percentages: "
            "then other images would be removed. Give similarities; or name the kind of all its "
            f"IDs: {KIND_FLAG} remove or {KIND_FLAG} keep."
        )


def _warn_of_groups(groups: RemovalList) -> None:
    sizes = groups.frame.where("image_id IS NOT NULL").groupBy("group_id").count()
    has_none = F.col("group_id").isNull()
    # The IDs without a group, if there are any, and then the two largest groups.
    found = sizes.orderBy(has_none.desc(), F.desc("count")).limit(3).collect()
    for row in found:
        if row["group_id"] is None:
            _log.warning(
                "%r: %d IDs have no group (NULL, an empty text or -1): they stay, as single images",
                groups.location,
                row["count"],
            )
    named = [row for row in found if row["group_id"] is not None]
    if named and named[0]["count"] >= _LARGE_GROUP:
        next_largest = named[1]["count"] if len(named) > 1 else 1
        if named[0]["count"] >= _TIMES_LARGER * next_largest:
            _log.warning(
                "%r: group %r has %d IDs, the next largest has %d: only one of them stays; make "
                "sure that they are duplicates",
                groups.location,
                named[0]["group_id"],
                named[0]["count"],
                next_largest,
            )
