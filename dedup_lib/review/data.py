"""What a review page shows: plain values, gathered by whoever knows Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dedup_lib.executor.thumbnails import Thumbnail

ImageId = str | int
Sign = Literal["keeper is smaller", "shapes differ", "texts differ", "no keeper", "not shown"]
# What two roundings of one shape may differ by.
_SAME_SHAPE = 0.02


@dataclass(frozen=True)
class Picture:
    """An image of the table, as it is shown.

    Attributes:
        image_id: Its ID, of the type that it has in the table.
        thumbnail: The small picture, or why there is none.
        size_bytes: Of the encoded image.
        texts: Its other columns, as text; None where they aren't known.
        file_path: The file that it is in.
    """

    image_id: ImageId
    thumbnail: Thumbnail
    size_bytes: int | None = None
    texts: Mapping[str, str | None] | None = None
    file_path: str | None = None

    @property
    def pixels(self) -> int | None:
        """How many pixels it has; None where that isn't known."""
        width, height = self.thumbnail.width, self.thumbnail.height
        return None if width is None or height is None else width * height


@dataclass(frozen=True)
class Pair:
    """An image that goes, and the one that stays instead.

    Attributes:
        removed: The image that goes.
        keeper: Its surviving keeper; of one that is in no row of this table only the ID.
        no_keeper: Where there is none, why.
        score: How similar the list says that the two are; None where it doesn't.
        reasons: Which lists mark it, in words.
        group_size: How many images its group has, itself and the keeper included.
    """

    removed: Picture
    keeper: Picture | None = None
    no_keeper: str = "No list names a keeper of this image: only the image that goes is shown."
    score: float | None = None
    reasons: Sequence[str] = ()
    group_size: int | None = None

    @property
    def signs(self) -> Sequence[Sign]:
        """What speaks against removing this image, or against deciding it by its picture."""
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
    # Small images have coarse shapes: a pixel more or less is none of another shape.
    smallest = min(one.width, one.height, other.width, other.height)
    return abs(ratio - 1) > _SAME_SHAPE + 1 / smallest


@dataclass(frozen=True)
class Bin:
    """How many scores lie from `low` to below `high`; the highest bin has its upper end, too."""

    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Scores:
    """The scores of a list with pairs, and the line from which on images go.

    Attributes:
        bins: One beside the other, ascending; best with the line between two of them.
        eps: Images go whose score is at least 1 - eps.
    """

    bins: Sequence[Bin]
    eps: float

    @property
    def threshold(self) -> float:
        """The least score with which an image goes."""
        return 1.0 - self.eps


def bin_edges(least: float, most: float, threshold: float, *, bins: int = 40) -> list[float]:
    """Return ascending edges of about so many equal bins, with the threshold among them.

    Args:
        least: The lowest score.
        most: The highest score.
        threshold: The least score with which an image goes.
        bins: At least so many; it may be two more.

    Returns:
        Edges from `least` to `most`; where the threshold is beyond these, to what holds it.
    """
    least, most = min(least, threshold), max(most, threshold)
    width = (most - least) / bins or 1 / bins
    if most == threshold:  # who has just this score goes, and needs a bin
        most += width
    steps = range(-int((threshold - least) / width), int((most - threshold) / width) + 1)
    between = (threshold + step * width for step in steps)
    half = width / 2  # a sliver at an end would look like a peak, or a gap
    inner = [edge for edge in between if least + half < edge < most - half or edge == threshold]
    return sorted({least, *inner, most})


@dataclass(frozen=True)
class Part:
    """An input file, or a partition, and the rows that it loses."""

    name: str
    input_rows: int
    removed_rows: int

    @property
    def removed_fraction(self) -> float:
        """The share of its rows that go; none of an empty one."""
        return self.removed_rows / self.input_rows if self.input_rows else 0.0


@dataclass(frozen=True)
class Unmatched:
    """What the lists name and the table doesn't have.

    Attributes:
        num_ids: How many IDs; None where they were not counted.
        listed_ids: Of how many that the lists name; None where they were not counted.
        examples: Some of them.
        hints: Why that may be, in sentences without a full stop.
    """

    num_ids: int | None
    listed_ids: int | None = None
    examples: Sequence[ImageId] = ()
    hints: Sequence[str] = ()


@dataclass(frozen=True)
class Review:
    """All that a review page shows.

    Attributes:
        run: The run's name: marks made on the page are kept under it.
        images: The image table's location.
        lists: Each list: its location and what it was taken for.
        input_rows: Rows of the image table.
        removed_rows: Rows that go.
        input_bytes: Size of the table's data files; None where it isn't known.
        removed_bytes: About how much of that goes.
        pairs: Some of the images that go, or all; the page sorts them.
        sample: How these were chosen, in a sentence.
        scores: Of a list with scores.
        group_sizes: How many groups there are of each number of images.
        parts: What each input file or partition loses.
        part_kind: What parts are, in the plural.
        unmatched: Listed IDs that aren't in the table.
        is_dry_run: Whether nothing has been removed yet.
        state: What is to be said of that, in a sentence, where it is no dry run.
        made_at: When, as it shall be shown.
        version: Of the library.
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
        """Whether every row that goes is on the page."""
        return len(self.pairs) >= self.removed_rows


def least_certain_first(pairs: Sequence[Pair]) -> list[Pair]:
    """Sort pairs by score, the lowest first; then those without, the ones with most signs first."""

    def certainty(pair: Pair) -> tuple[bool, float, int]:
        return pair.score is None, pair.score or 0.0, -len(pair.signs)

    return sorted(pairs, key=certainty)
