"""Draw the pictures that the duplicate finders search: 10 groups of duplicates, 26 single ones."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFilter

SEED = 20_261
SIDE = 96
GROUP_SIZES = (2, 2, 3, 3, 3, 4, 4, 4, 5, 5)
NUM_SINGLES = 26
SYLLABLES = ("ba", "de", "fo", "gi", "ku", "lar", "mel", "nor", "pin", "tus")
# Producers write paths as they are told them. These are in the lists, so they don't change.
FOLDER = Path("/tmp/dedup-corpus/pictures")  # made anew, and only by hand


def names() -> list[list[str]]:
    """Return the file names: a list for each group, then one for each single picture.

    The names of a group do not follow each other, and a copy may come before its original.
    """
    random = Random(SEED)
    sizes = (*GROUP_SIZES, *(1 for _ in range(NUM_SINGLES)))
    numbers = list(range(sum(sizes)))
    random.shuffle(numbers)
    left = iter(f"{number:03d}" for number in numbers)
    return [[f"{next(left)}.{_suffix(copy)}" for copy in range(size)] for size in sizes]


def all_names() -> list[str]:
    """Return the file names in their order: that of the image table, and of its positions."""
    return sorted(name for group in names() for name in group)


def _suffix(copy: int) -> str:
    return "jpg" if copy in (2, 4) else "png"


def draw(folder: Path) -> None:
    """Draw all pictures into a folder, which is emptied; the same bytes with the same Pillow."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = Random(SEED)
    for group in names():
        for name, copy in zip(group, _copies(_picture(random)), strict=False):
            copy.save(folder / name, **({"quality": 90} if name.endswith("jpg") else {}))


def _copies(picture: Image.Image) -> Iterator[Image.Image]:
    """Make the picture, the same again, a JPEG, a smaller one, and a smaller JPEG."""
    smaller = picture.resize((SIDE * 7 // 8, SIDE * 7 // 8), Image.Resampling.LANCZOS)
    yield from (picture, picture, picture, smaller, smaller)


def _picture(random: Random) -> Image.Image:
    """Draw shapes of any colour over one another, a little blurred."""
    image = Image.new("RGB", (SIDE, SIDE), _colour(random))
    pen = ImageDraw.Draw(image)
    for _ in range(random.randint(3, 7)):
        box = _box(random)
        shape = random.choice([pen.ellipse, pen.rectangle, pen.polygon, pen.chord, pen.arc])
        if shape == pen.polygon:
            pen.polygon([_point(random) for _ in range(random.randint(3, 5))], fill=_colour(random))
        elif shape == pen.chord:
            pen.chord(box, random.randrange(360), random.randrange(360), fill=_colour(random))
        elif shape == pen.arc:
            pen.arc(box, 0, random.randrange(90, 360), fill=_colour(random), width=9)
        else:
            shape(box, fill=_colour(random))
    return image.filter(ImageFilter.GaussianBlur(1))


def _colour(random: Random) -> tuple[int, int, int]:
    return (random.randrange(256), random.randrange(256), random.randrange(256))


def _point(random: Random) -> tuple[int, int]:
    return (random.randrange(SIDE), random.randrange(SIDE))


def _box(random: Random) -> tuple[int, int, int, int]:
    (left, right), (top, bottom) = (
        sorted((random.randrange(SIDE), random.randrange(SIDE))) for _ in "xy"
    )
    return (left, top, right + 8, bottom + 8)


def uid(name: str) -> str:
    """Return a picture's ID of 128 bits, as DataComp has them."""
    return md5(name.encode(), usedforsecurity=False).hexdigest()


def write_image_table(path: Path) -> None:
    """Write the image table, with the IDs `name`, `path`, `position` and `uid`."""
    ids = all_names()
    table = pa.table(
        {
            "name": ids,
            "path": [str(FOLDER / name) for name in ids],
            "position": pa.array(range(len(ids)), pa.int64()),
            "uid": [uid(name) for name in ids],
            "image": pa.array([name.encode() for name in ids], pa.binary()),
        }
    )
    pq.write_table(table, path)


def write_captions(path: Path) -> None:
    """Write `name`, `position` and `caption`, for what compares texts or records.

    The pictures of a group have the same caption but for one word.
    """
    random = Random(SEED)
    words = [f"{first}{second}" for first in SYLLABLES for second in SYLLABLES]
    position = {name: number for number, name in enumerate(all_names())}
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("name", "position", "caption"))
        for group in names():
            caption = random.choices(words, k=60)
            for copy, name in enumerate(group):
                rows.writerow((name, position[name], " ".join([*caption, str(copy)])))
