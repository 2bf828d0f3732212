"""A run that does only what is new beside one that does all: seconds, and bytes read and written.

    python -m tests.benchmarks.since_last_run [--images 60000] [--image-bytes 50000]

It makes a Delta table of random images (3.0 GB by default; free disk for five times that) and a
list of 30 % of its IDs, and writes an output. Then 1 % of new rows come, of which 30 % are listed,
and one listed ID in a thousand of those that are published; that is done by --since-last-run, and
by a full run, in turns, each from the same state, in one warm session; then nothing is new, and the
same is asked for again. Bytes are those that Spark's tasks count.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.benchmarks.delta_methods import image_id, make_table, rows, session
from tests.support.spark.stages import newest_stage, stages_since

WAYS = ("full", "since last run", "nothing new")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000, help="rows (default: 60,000)")
    parser.add_argument("--image-bytes", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark-since"))
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    spark = session(folder)
    size = make_table(spark, folder, options.images, options.image_bytes)
    print(f"{options.images:,} images of {options.image_bytes:,} bytes, {size / 1e9:.2f} GB")
    _print("first run", *_timed(spark, folder, "out", is_full=False))
    _let_come(spark, folder, options.images, options.image_bytes)
    results: dict[str, list[tuple[float, int, int]]] = {way: [] for way in WAYS}
    for number in range(options.rounds):
        shutil.copytree(folder / "out", folder / f"out-{number}")
        for way in WAYS:
            is_full = way == "full"
            place = f"full-{number}" if is_full else f"out-{number}"  # of both others
            results[way].append(_timed(spark, folder, place, is_full=is_full))
            _print(f"{number} {way}", *results[way][-1])
        _check_same(spark, folder / f"full-{number}", folder / f"out-{number}")
        for place in (f"full-{number}", f"out-{number}"):
            shutil.rmtree(folder / place)
    shutil.rmtree(folder)
    medians = {way: [statistics.median(column) for column in zip(*found, strict=True)]
               for way, found in results.items()}  # fmt: skip
    for index, what in enumerate(("seconds", "bytes read", "bytes written")):
        full, new, nothing = (medians[way][index] for way in WAYS)
        share = f"{100 * new / full:.1f} %"
        print(f"{what}: {new:,.1f} instead of {full:,.1f}: {share}; nothing new: {nothing:,.1f}")
    Path("build/since_last_run.json").write_text(json.dumps(results, indent=2))


def _let_come(spark: SparkSession, folder: Path, num_images: int, image_bytes: int) -> None:
    """Append 1 % of rows to the images, and list 30 % of them and some of the old ones."""
    numbers = range(num_images, num_images + num_images // 100)
    pq.write_table(rows(numbers, image_bytes), folder / "come.parquet")
    come = spark.read.parquet(str(folder / "come.parquet"))
    come.write.format("delta").mode("append").save(str(folder / "made"))
    old = [number for number in range(num_images) if number % 10 < 3 or number % 1000 == 5]
    listed = [image_id(number) for number in (*old, *(n for n in numbers if n % 10 < 3))]
    pq.write_table(pa.table({"id": listed}), folder / "list.parquet")


def _timed(
    spark: SparkSession, folder: Path, place: str, *, is_full: bool
) -> tuple[float, int, int]:
    """Run, and return seconds, bytes read and bytes written."""
    settings = Settings(
        images=str(folder / "made"),
        duplicate_ids=(DuplicateIds(str(folder / "list.parquet")),),
        output=str(folder / place),
        output_format="delta",
        since_last_run=not is_full,
    )
    newest, started = newest_stage(spark), time.monotonic()
    run(spark, settings)
    seconds = time.monotonic() - started
    own = stages_since(spark, newest)
    read, written = (sum(getattr(s, name)() for s in own) for name in ("inputBytes", "outputBytes"))
    return seconds, read, written


def _check_same(spark: SparkSession, one: Path, other: Path) -> None:
    ids = [spark.read.format("delta").load(str(path)).select("image_id") for path in (one, other)]
    if not ids[0].exceptAll(ids[1]).isEmpty() or ids[0].count() != ids[1].count():
        raise SystemExit(f"{one} and {other} hold other rows")


def _print(name: str, seconds: float, read: int, written: int) -> None:
    print(
        f"  {name:16} {seconds:6.1f} s, {read / 1e6:9.1f} MB read, {written / 1e6:9.1f} MB written",
        flush=True,
    )


if __name__ == "__main__":
    main()
