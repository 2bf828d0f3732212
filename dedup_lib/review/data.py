"""The data that a review page shows, as plain values without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dedup_lib.executor.thumbnails import Thumbnail
from dedup_lib.tables.id_types import ImageId

Sign = Literal["keeper is smaller", "shapes differ", "texts differ", "no keeper", "not shown"]
# The most by which two roundings of the same shape may differ.
_SAME_SHAPE = 0.02


@dataclass(frozen=True)
class Picture:
    """An image of the table, as the page shows it.

    Attributes:
        image_id: Its ID: a number, or a text; for binary IDs hex digits.
        thumbnail: The small picture, or the reason why there is no picture.
        size_bytes: The size of the encoded image.
        texts: Its other columns, as text; None if they are unknown.
        file_path: The file with the image.
    """

    image_id: ImageId
    thumbnail: Thumbnail
    size_bytes: int | None = None
    texts: Mapping[str, str | None] | None = None
    file_path: str | None = None

    @property
    def pixels(self) -> int | None:
        """The number of pixels; None if it is unknown."""
        width, height = self.thumbnail.width, self.thumbnail.height
        return None if width is None or height is None else width * height


@dataclass(frozen=True)
class Pair:
    """An image that is removed, and the image that stays instead.

    Attributes:
        removed: The image that is removed.
        keeper: Its surviving keeper; only the ID if the keeper is not in this table.
        no_keeper: If there is no keeper, the reason.
        score: The similarity of the two images in the list; None if the list has no score.
        reasons: Which lists mark the image, in words.
        group_size: The number of images in its group, with itself and the keeper.
    """

    removed: Picture
    keeper: Picture | None = None
    no_keeper: str = "No list names a keeper of this image: only the image that goes is shown."
    score: float | None = None
    reasons: Sequence[str] = ()
    group_size: int | None = None

    @property
    def signs(self) -> Sequence[Sign]:
        """Reasons to keep this image, or not to decide by its picture."""
        removed, keeper = self.removed, self.keeper
        found: list[Sign] = []
        if keeper is None:
            found.append("no keeper")
        else:
            if (removed.pixels or 0) > (keeper.pixels or removed.pixels or 0):
                found.append("keeper is smaller")
            if _shapes_differ(removed.thumbnail, keeper.thumbnail):
                found.append("shapes differ")
            if None not in (removed.texts, keeper.texts) and removed.texts != keeper.texts:
                found.append("texts differ")
        if any(one.thumbnail.webp is None for one in (removed, keeper) if one is not None):
            found.append("not shown")
        return found


def _shapes_differ(one: Thumbnail, other: Thumbnail) -> bool:
    if not (one.width and one.height and other.width and other.height):
        return False
    ratio = (one.width * other.height) / (one.height * other.width)
    # Small images have coarse shapes: one pixel does not make another shape.
    smallest = min(one.width, one.height, other.width, other.height)
    return abs(ratio - 1) > _SAME_SHAPE + 1 / smallest


@dataclass(frozen=True)
class Bin:
    """The number of scores from `low` to below `high`; the highest bin includes `high`."""

    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Scores:
    """The scores of a list with pairs, and the threshold for removal.

    Attributes:
        bins: Adjacent bins in ascending order; the threshold should be an edge of a bin.
        eps: An image is removed if its score is at least 1 - eps.
    """

    bins: Sequence[Bin]
    eps: float

    @property
    def threshold(self) -> float:
        """The lowest score with which an image is removed."""
        return 1.0 - self.eps


def bin_edges(least: float, most: float, threshold: float, *, bins: int = 40) -> list[float]:
    """Return ascending edges of about equal bins; the threshold is one of the edges.

    Args:
        least: The lowest score.
        most: The highest score.
        threshold: The lowest score with which an image is removed.
        bins: The least number of bins; there may be two more.

    Returns:
        Edges from `least` to `most`, extended to the threshold if it lies outside.
    """
    least, most = min(least, threshold), max(most, threshold)
    width = (most - least) / bins or 1 / bins
    if most == threshold:  # an image with exactly this score is removed, and needs a bin
        most += width
    steps = range(-int((threshold - least) / width), int((most - threshold) / width) + 1)
    between = (threshold + step * width for step in steps)
    half = width / 2  # a very narrow bin at an end would look like a peak, or a gap
    inner = [edge for edge in between if least + half < edge < most - half or edge == threshold]
    return sorted({least, *inner, most})


@dataclass(frozen=True)
class Part:
    """An input file or a partition, and how many rows it loses."""

    name: str
    input_rows: int
    removed_rows: int

    @property
    def removed_fraction(self) -> float:
        """The share of its rows that are removed; 0 if it is empty."""
        return self.removed_rows / self.input_rows if self.input_rows else 0.0


@dataclass(frozen=True)
class Unmatched:
    """Listed IDs that are not in the table.

    Attributes:
        num_ids: The number of these IDs; None if they were not counted.
        listed_ids: The number of all IDs in the lists; None if they were not counted.
        examples: Some of these IDs.
        hints: Possible causes, as sentences without a full stop.
    """

    num_ids: int | None
    listed_ids: int | None = None
    examples: Sequence[ImageId] = ()
    hints: Sequence[str] = ()


@dataclass(frozen=True)
class Review:
    """All that a review page shows.

    Attributes:
        run: The run's name; the page stores the user's marks under it.
        images: The image table's location.
        lists: The location of each list, and how the run used it.
        input_rows: The number of rows of the image table.
        removed_rows: The number of rows that are removed.
        input_bytes: The size of the table's data files; None if it is unknown.
        removed_bytes: About how many of these bytes are removed.
        pairs: Some or all of the images that are removed; the page sorts them.
        sample: A sentence that says how the pairs were chosen.
        scores: The scores of a list with scores.
        group_sizes: The number of groups for each number of images.
        parts: The losses of each input file or partition.
        part_kind: The name of the parts, in the plural.
        unmatched: Listed IDs that are not in the table.
        is_dry_run: Whether nothing has been removed yet.
        state: A sentence about the state of the removal, except in a dry run.
        made_at: The time of the review, as the page shows it.
        version: The version of the library.
    """

    run: str
    images: str
    lists: Sequence[tuple[str, str]]
    input_rows: int
    removed_rows: int
    pairs: Sequence[Pair]
    input_bytes: int | None = None
    removed_bytes: int | None = None
    sample: str = ""
    scores: Scores | None = None
    group_sizes: Mapping[int, int] | None = None
    parts: Sequence[Part] = ()
    part_kind: Literal["input files", "partitions"] = "input files"
    unmatched: Unmatched | None = None
    is_dry_run: bool = True
    state: str = ""
    made_at: str = ""
    version: str = ""

    @property
    def kept_rows(self) -> int:
        """How many rows stay."""
        return self.input_rows - self.removed_rows

    @property
    def shows_all(self) -> bool:
        """Whether the page shows every removed row."""
        return len(self.pairs) >= self.removed_rows


def least_certain_first(pairs: Sequence[Pair]) -> list[Pair]:
    """Sort pairs by score, the lowest first; then pairs without a score, most signs first."""

    def certainty(pair: Pair) -> tuple[bool, float, int]:
        return pair.score is None, pair.score or 0.0, -len(pair.signs)

    return sorted(pairs, key=certainty)
