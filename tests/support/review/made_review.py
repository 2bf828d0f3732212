"""Small reviews: pictures of one colour, IDs of all kinds."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from dedup_lib.executor.thumbnails import make_thumbnail
from dedup_lib.review.data import Bin, Pair, Part, Picture, Review, Scores, Unmatched

HOSTILE_IDS = (
    "</script><script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
    "quotes \"double\" and 'single' & ampersand",
    "two\nlines\r\nand\ttab",
    "right\u202eto left\u2066isolated",
    "--><!--",
    "{{ 7 * 7 }}{% raw %}",
    "ä ö 中文 \U0001f600",
    "",
)


def encoded(
    colour: str | int | tuple[int, ...] = "teal",
    size: tuple[int, int] = (64, 48),
    *,
    mode: str = "RGB",
    format: str = "JPEG",  # noqa: A002  # as Pillow calls it
    **options: Any,
) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, format, **options)
    return stream.getvalue()


def picture(image_id: str | int, image: bytes | None = None, **texts: str) -> Picture:
    image = encoded() if image is None else image
    return Picture(
        image_id,
        make_thumbnail(image),
        size_bytes=len(image),
        texts=texts,
        file_path="/data/images/part-0.parquet",
    )


def made_review(**changes: Any) -> Review:
    """Make a review of four pairs: sure, less sure, larger than its keeper, without a keeper."""
    pairs = [
        Pair(picture("sure", caption="a cat"), picture("kept-1", caption="a cat"), score=0.99),
        Pair(
            picture("unsure", encoded("navy"), caption="a dog"),
            picture("kept-2", encoded("olive", (48, 48), format="PNG"), caption="a fox"),
            score=0.91,
        ),
        Pair(
            picture("large", encoded("red", (640, 480))),
            picture("kept-3", encoded("red", (320, 240))),
            score=0.95,
        ),
        Pair(picture("alone", b"no image at all")),
    ]
    values: dict[str, Any] = {
        "run": "run-1",
        "images": "/data/images",
        "lists": [("/data/pairs", "pairs of NeMo Curator, eps 0.1")],
        "input_rows": 1000,
        "removed_rows": 250,
        "input_bytes": 2_000_000,
        "removed_bytes": 500_000,
        "pairs": pairs,
        "scores": Scores([Bin(0.8, 0.9, 700), Bin(0.9, 0.95, 30), Bin(0.95, 1.0, 220)], eps=0.1),
        "group_sizes": {2: 150, 3: 50},
        "parts": [Part("a.parquet", 600, 30), Part("b.parquet", 100, 100), Part("c", 300, 120)],
        "unmatched": Unmatched(3, 253, ["lost-1", "lost-2"], ["all lack the suffix '.jpg'"]),
        "made_at": "26 November 2026",
        "version": "0.1.0",
    }
    return Review(**(values | changes))
