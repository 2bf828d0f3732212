"""Scores of pairs: whether a high score means alike, and which pairs are alike enough."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from dedup_lib.errors import AmbiguousListError, SettingsError
from dedup_lib.settings import ScoreMeaning

# Names, in lower case, of columns that tell how alike two images are, or how good one is.
_NAMES: Mapping[ScoreMeaning, re.Pattern[str]] = {
    "distance": re.compile(
        r".*(distance|dissimilarity(_score)?)|(.*[_ ])?(dist|difference|diff|mse|hamming)"
    ),
    "similarity": re.compile(r".*(score|similarity|probability)|(.*[_ ])?sim"),
}
_FLAGS: Mapping[ScoreMeaning, str] = {"similarity": "--eps", "distance": "--max-distance"}


def is_score(name: str) -> bool:
    """Tell whether a column has scores, by its name."""
    return any(each.fullmatch(name.lower()) for each in _NAMES.values())


def meaning_of(
    what: str,
    column: str,
    *,
    asked: ScoreMeaning | None,
    eps: float | None,
    max_distance: float | None,
) -> ScoreMeaning:
    """Tell what a high score means: what the user says, else the column's name, else the limit.

    Args:
        what: The list, for messages.
        column: The column of the scores.
        asked: What the user says.
        eps: The limit for similarities.
        max_distance: The limit for distances.

    Raises:
        AmbiguousListError: The name says one thing, and the limit the other; or nothing tells it.
        SettingsError: There is no limit for such scores.
    """
    limits: dict[ScoreMeaning, float | None] = {"similarity": eps, "distance": max_distance}
    limited = [meaning for meaning, limit in limits.items() if limit is not None]
    named = next((each for each, name in _NAMES.items() if name.fullmatch(column.lower())), None)
    meaning = asked or named or (limited[0] if len(limited) == 1 else None)
    if meaning in limited:
        return meaning
    if asked is None and limited:
        raise AmbiguousListError(
            f"{what}: it is not clear whether a high score in column {column!r} means that images "
            f"are alike ({_FLAGS['similarity']}) or that they differ ({_FLAGS['distance']}). Say "
            "which, with its limit: --score-means similarity or --score-means distance."
        )
    raise SettingsError(
        f"{what} holds pairs with scores ({column!r}): set how alike an image and its duplicate "
        "must be. For similarities: --eps EPS (at least 1 - EPS). For distances: --max-distance "
        "DISTANCE (at most DISTANCE), and --score-means distance."
    )


def similarity(score: Column, meaning: ScoreMeaning) -> Column:
    """Return a score as a similarity: 1 for the same image, and less for others."""
    return score if meaning == "similarity" else F.lit(1.0) - score


def is_alike(score: Column, meaning: ScoreMeaning, limit: float) -> Column:
    """Tell whether a raw score is within its limit: an eps, or a distance.

    *Nulls:* NULL and NaN are not alike.
    """
    # Compare in 64 bits, like pandas' filter for Parquet (pyarrow). Spark sorts NaN as the largest
    # value.
    within = score >= F.lit(1.0 - limit) if meaning == "similarity" else score <= F.lit(limit)
    return ~F.isnan(score) & within
