"""Time the making of a page of many large images: seconds, megabytes, and the peak of memory.

    python -m tests.support.review.bench [--pairs 200] [--format JPEG] [--threads 2]
        [--page PAGE.html]

Images weigh about 2 MB each; a few that differ are taken in turns, and nothing is remembered of
one when it comes again.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageFilter

from dedup_lib.executor.thumbnails import drawing
from dedup_lib.review.data import Bin, Pair, Picture, Review, Scores
from dedup_lib.review.page import render

DIFFERENT = 16


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--format", choices=["JPEG", "PNG", "WEBP"], default="JPEG")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--page", type=Path, default=Path("build/review.html"))
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(1) as elsewhere:  # so that the peak of memory is not theirs
        different = elsewhere.submit(_images, DIFFERENT, options.format).result()
    images = [different[number % DIFFERENT] for number in range(2 * options.pairs)]
    average = sum(map(len, different)) / len(different)
    print(f"{len(images)} images, {options.format}, {average / 1e6:.2f} MB each")
    before = _peak_bytes()
    started, busy = time.monotonic(), time.process_time()
    with drawing() as draw, ThreadPoolExecutor(options.threads) as threads:
        thumbnails = list(threads.map(draw, images))
    drawn = time.monotonic()
    pictures = [
        Picture(number, thumbnail, len(image), {"caption": f"image number {number}"})
        for number, (thumbnail, image) in enumerate(zip(thumbnails, images, strict=True))
    ]
    pairs = [
        Pair(removed, keeper, score=0.9 + 0.1 * place / options.pairs)
        for place, (removed, keeper) in enumerate(zip(pictures[::2], pictures[1::2], strict=True))
    ]
    page = render(
        Review(
            run="bench",
            images="/data/images",
            lists=[],
            input_rows=1_000_000,
            removed_rows=300_000,
            pairs=pairs,
            scores=Scores([Bin(0.8, 0.9, 10_000), Bin(0.9, 1.0, 300_000)], eps=0.1),
        )
    )
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page, encoding="utf-8")
    ended = time.monotonic()
    print(f"pictures: {drawn - started:.1f} s, {options.threads} threads")
    print(f"page: {ended - drawn:.1f} s")
    print(f"processors: {time.process_time() - busy:.1f} s, both taken together")
    print(f"all: {ended - started:.1f} s, {options.page.stat().st_size / 1e6:.1f} MB")
    print(f"memory beside the images: {(_peak_bytes() - before) / 1e6:,.0f} MB")
    print(f"without a picture: {sum(one.webp is None for one in thumbnails)}")


def _images(number: int, kind: str) -> list[bytes]:
    chance = random.Random(0)
    if kind == "PNG":  # noise, which no PNG makes smaller
        return [_encoded(_noise(chance, 940, 710), kind) for _ in range(number)]
    return [_encoded(_photograph(chance), kind) for _ in range(number)]


def _photograph(chance: random.Random) -> Image.Image:
    """Make 12 megapixels that are soft here and there, with a grain."""
    soft = _noise(chance, 800, 600).filter(ImageFilter.GaussianBlur(1)).resize((4000, 3000))
    return Image.blend(soft, Image.effect_noise((4000, 3000), 24).convert("RGB"), 0.25)


def _noise(chance: random.Random, width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), chance.randbytes(3 * width * height))


def _encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, quality=78, **({"method": 0} if kind == "WEBP" else {}))
    return stream.getvalue()


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
