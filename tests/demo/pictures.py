"""An image table from the photographs that scikit-image's wheel brings along.

Crops of them are the pictures; re-encodings and resizings of the crops are their near-duplicates.
"""

from __future__ import annotations

import importlib.util
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageStat, UnidentifiedImageError

SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("source", pa.struct([("picture", pa.string()), ("change", pa.string())])),
    ]
)
MOST_CROPS = 1_700
NUM_SHARDS = 8
SEED = 20_260
# Crops of drawings look alike; the right eye of a stereo pair sees what the left one sees.
_NOT_TAKEN = {
    "chessboard_GRAY",
    "chessboard_RGB",
    "color",
    "horse",
    "logo",
    "motorcycle_right",
    "phantom",
}
_MIN_PICTURE_SIDE = 160
_CROP_SIDES = (96, 320)
_MOST_OVERLAP_FRACTION = 0.5
# Standard deviation of brightness, of 255; blank corners look all alike.
_LEAST_CONTRAST_OF_QUARTERS = 5.0
_TRIES_PER_CROP = 60
# How many crops of a hundred have no near-duplicate, one, two, three.
_NUM_COPIES_WEIGHTS = (50, 25, 15, 10)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Crop:
    """A region of a photograph: its name, and left, top, right and bottom in pixels."""

    picture: str
    box: Box

    @property
    def caption(self) -> str:
        """What the crop shows; its near-duplicates have the same caption, other crops another."""
        left, top, right, bottom = self.box
        return f"{self.picture}: {right - left} x {bottom - top} pixels at ({left}, {top})"


def photographs() -> dict[str, Image.Image]:
    """Open the photographs in scikit-image's own data directory; nothing is downloaded.

    Returns:
        Name to picture, RGB or gray; no drawings, and nothing smaller than 160 pixels.
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the demo needs scikit-image: pip install 'dedup-lib[demo]'")
    found = {}
    for path in sorted((Path(package.origin).parent / "data").iterdir()):
        if path.is_file() and path.stem not in _NOT_TAKEN:
            picture = _open(path)
            if picture is not None and min(picture.size) >= _MIN_PICTURE_SIDE:
                found[path.stem] = picture
    return found


def image_table(most_crops: int = MOST_CROPS, *, num_shards: int = NUM_SHARDS) -> pa.Table:
    """Make the image table; the same bytes every time.

    Args:
        most_crops: How many crops to look for, of which some find no place any more; with
            near-duplicates there are about 1.8 times as many rows.
        num_shards: How many shards the IDs name.

    Returns:
        One row per image, as `SCHEMA` says, in the order of the IDs, which are
        `<shard>_<position>`. Near-duplicates lie anywhere in the table.
    """
    chance = random.Random(SEED)
    pictures = photographs()
    rows = [
        row
        for crop in find_crops(pictures, most_crops, chance)
        for row in _versions(crop, pictures[crop.picture].crop(crop.box), chance)
    ]
    chance.shuffle(rows)
    per_shard = -(-len(rows) // num_shards)
    for index, row in enumerate(rows):
        row["image_id"] = f"{index // per_shard:05d}_{index % per_shard:06d}"
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_shards(table: pa.Table, directory: Path) -> None:
    """Write an image table as one Parquet file per shard."""
    directory.mkdir(parents=True)
    shards = [image_id.partition("_")[0] for image_id in table["image_id"].to_pylist()]
    for shard in sorted(set(shards)):
        rows = table.slice(shards.index(shard), shards.count(shard))
        pq.write_table(rows, directory / f"{shard}.parquet", compression="zstd")


def find_crops(
    pictures: dict[str, Image.Image], most_crops: int, chance: random.Random
) -> list[Crop]:
    """Choose regions of the photographs, none of them blank and no two nearly the same.

    Returns:
        At most `most_crops` of them; large photographs give more than small ones.
    """
    names = list(pictures)
    sides = [sum(pictures[name].size) for name in names]
    taken: dict[str, list[Box]] = {name: [] for name in names}
    crops = []
    for name in chance.choices(names, weights=sides, k=most_crops):
        box = _free_box(pictures[name], taken[name], chance)
        if box is not None:
            taken[name].append(box)
            crops.append(Crop(name, box))
    return crops


def _open(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("L" if image.mode == "L" else "RGB")
    except UnidentifiedImageError:
        return None


def _free_box(picture: Image.Image, taken: list[Box], chance: random.Random) -> Box | None:
    for _ in range(_TRIES_PER_CROP):
        box = _any_box(picture, chance)
        free = all(_overlap_fraction(box, other) <= _MOST_OVERLAP_FRACTION for other in taken)
        if free and _has_detail(picture.crop(box)):
            return box
    return None


def _any_box(picture: Image.Image, chance: random.Random) -> Box:
    width, height = (chance.randint(_CROP_SIDES[0], min(_CROP_SIDES[1], s)) for s in picture.size)
    left = chance.randint(0, picture.width - width)
    top = chance.randint(0, picture.height - height)
    return left, top, left + width, top + height


def _has_detail(image: Image.Image) -> bool:
    """Tell whether there is something to be seen in each quarter of a picture."""
    gray = image.convert("L")
    x, y = gray.width // 2, gray.height // 2
    quarters = ((0, 0, x, y), (x, 0, 2 * x, y), (0, y, x, 2 * y), (x, y, 2 * x, 2 * y))
    contrasts = (ImageStat.Stat(gray.crop(quarter)).stddev[0] for quarter in quarters)
    return all(contrast >= _LEAST_CONTRAST_OF_QUARTERS for contrast in contrasts)


def _overlap_fraction(one: Box, other: Box) -> float:
    """Return the common area as a fraction of the area that both cover together."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0, width) * max(0, height)
    return common / (_area(one) + _area(other) - common)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _versions(crop: Crop, image: Image.Image, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Make the rows of a crop: itself, and none to three near-duplicates."""
    as_png = chance.random() < 0.2
    yield _row(crop, image, "crop", quality=None if as_png else 92)
    for _ in range(chance.choices(range(4), weights=_NUM_COPIES_WEIGHTS)[0]):
        if chance.random() < 0.5:
            quality = chance.randint(45, 85)
            yield _row(crop, image, f"JPEG quality {quality}", quality=quality)
            continue
        percent = chance.randint(75, 97)
        size = (image.width * percent // 100, image.height * percent // 100)
        smaller = image.resize(size, Image.Resampling.LANCZOS)
        as_png = chance.random() < 0.2
        yield _row(crop, smaller, f"resized to {percent} %", quality=None if as_png else 88)


def _row(crop: Crop, image: Image.Image, change: str, *, quality: int | None) -> dict[str, Any]:
    """Make a row but for its ID; no quality means PNG."""
    encoded = io.BytesIO()
    if quality is None:
        image.save(encoded, "PNG")
    else:
        image.save(encoded, "JPEG", quality=quality)
    return {
        "image": encoded.getvalue(),
        "width": image.width,
        "height": image.height,
        "format": "PNG" if quality is None else "JPEG",
        "caption": crop.caption,
        "source": {"picture": crop.picture, "change": change},
    }
