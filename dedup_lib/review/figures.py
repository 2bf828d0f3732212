"""Compute the figures of a review page, as sizes that a template can draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dedup_lib.review.data import Part, Scores

_MOST_ROWS = 20
_FEWEST_ROWS = 5
_MANY_TIMES = 50
_GROUPS = ((2, 2), (3, 3), (4, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, None))


@dataclass(frozen=True)
class Column:
    """A column of a histogram; sizes and positions are hundredths of the figure.

    Attributes:
        left: The position of its left edge.
        width: Its width.
        height: Its height.
        pairs: How many scores it represents.
        low: The lower bound of the scores; `high` is the upper bound.
        removes: Whether these scores remove an image.
    """

    left: float
    width: float
    height: float
    pairs: int
    low: float
    high: float
    removes: bool


@dataclass(frozen=True)
class Histogram:
    """Columns, and the line of the threshold for removal.

    Attributes:
        columns: From the lowest scores to the highest.
        is_logarithmic: Whether heights are logarithmic, because some counts are far larger.
        line: The position of the line, in hundredths of the figure.
        removing: How many scores remove an image.
        sparing: How many scores do not remove an image.
    """

    columns: Sequence[Column]
    is_logarithmic: bool
    line: float
    removing: int
    sparing: int


@dataclass(frozen=True)
class Row:
    """A bar with a name; `share` is its length in hundredths of the longest bar."""

    name: str
    count: int
    share: float


@dataclass(frozen=True)
class Losses:
    """The parts that lose most, the parts that lose least, and the number of parts between."""

    most: Sequence[Part]
    left_out: int
    least: Sequence[Part]
    whole: int


def histogram(scores: Scores) -> Histogram | None:
    """Lay out a histogram; None if there are no scores."""
    bins = sorted(scores.bins, key=lambda one: one.low)
    counts = [one.pairs for one in bins if one.pairs]
    if not counts:
        return None
    is_logarithmic = max(counts) > _MANY_TIMES * min(counts)
    scaled = math.log1p if is_logarithmic else float
    highest = scaled(max(counts))
    first, last = bins[0].low, bins[-1].high
    per_unit = 100 / ((last - first) or 1)
    columns = [
        Column(
            left=(one.low - first) * per_unit,
            width=(one.high - one.low) * per_unit,
            # A column with any scores must be visible.
            height=max(100 * scaled(one.pairs) / highest, 1.5) if one.pairs else 0,
            pairs=one.pairs,
            low=one.low,
            high=one.high,
            removes=(one.low + one.high) / 2 >= scores.threshold,
        )
        for one in bins
    ]
    return Histogram(
        columns,
        is_logarithmic=is_logarithmic,
        line=min(max((scores.threshold - first) * per_unit, 0), 100),
        removing=sum(one.pairs for one in columns if one.removes),
        sparing=sum(one.pairs for one in columns if not one.removes),
    )


def group_rows(group_sizes: Mapping[int, int]) -> list[Row]:
    """Return a bar for each group size; large sizes share bars, up to the largest size."""
    counts = [
        (_between(least, most), sum(_counted(group_sizes, least, most))) for least, most in _GROUPS
    ]
    while counts and not counts[-1][1]:
        counts.pop()
    highest = max((count for _, count in counts), default=1) or 1
    return [Row(f"{name} images", count, 100 * count / highest) for name, count in counts]


def _between(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _counted(group_sizes: Mapping[int, int], least: int, most: int | None) -> Sequence[int]:
    return [
        groups
        for size, groups in group_sizes.items()
        if size >= least and (most is None or size <= most)
    ]


def losses(parts: Sequence[Part]) -> Losses:
    """Sort parts by the share that they lose; if there are many, leave out the middle."""
    ordered = sorted(
        parts, key=lambda part: (-part.removed_fraction, -part.removed_rows, part.name)
    )
    whole = sum(1 for part in parts if part.input_rows and part.removed_rows >= part.input_rows)
    if len(ordered) <= _MOST_ROWS + _FEWEST_ROWS:
        return Losses(ordered, 0, (), whole)
    return Losses(
        ordered[:_MOST_ROWS],
        len(ordered) - _MOST_ROWS - _FEWEST_ROWS,
        ordered[-_FEWEST_ROWS:],
        whole,
    )
