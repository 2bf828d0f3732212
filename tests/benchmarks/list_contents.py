"""What it costs to tell a list by what it holds: plans with and without that, in turns.

    python -m tests.benchmarks.list_contents [--entries 20000000] [--images 40000000] [--rounds 3]

It makes an image table without images, and lists of two columns that name some of its IDs. A plan
that is told the kind (`list_kind`) does not look at the second column. Then it prints the seconds
of each plan, and the ratio of the medians for each list.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.benchmarks.delta_methods import session

# The second column of each list, made of the number of its row.
BESIDE: dict[str, str | None] = {
    "no second column": None,
    "a known name (width)": "id % 4000 AS width",
    "floats": "rand(7) AS certainty",
    "numbers that all differ": "id * 7 AS position",
    "texts that all differ": "sha2(CAST(id AS STRING), 256) AS sha256",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=20_000_000)
    parser.add_argument("--images", type=int, default=40_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark-lists"))
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    spark = session(folder)
    _make(spark, folder, options.entries, options.images)
    for name in BESIDE:
        _timed(spark, folder, name, "auto")  # lets Java compile it
        seconds: dict[str, list[float]] = {"auto": [], "remove": []}
        for number in range(options.rounds):
            for kind in ("auto", "remove") if number % 2 else ("remove", "auto"):
                seconds[kind].append(_timed(spark, folder, name, kind))
        looked, told = (statistics.median(seconds[kind]) for kind in ("auto", "remove"))
        print(f"{name}: {looked:.1f} s beside {told:.1f} s: {looked / told:.3f} x", flush=True)
        print(f"   {seconds}", flush=True)
    shutil.rmtree(folder)


def _make(spark: SparkSession, folder: Path, entries: int, images: int) -> None:
    image_id = "format_string('%012d', id) AS image_id"
    spark.range(0, images, 1, 16).selectExpr(image_id).write.parquet(str(folder / "images"))
    for name, column in BESIDE.items():
        columns = [image_id, *([] if column is None else [column])]
        spark.range(0, entries, 1, 16).selectExpr(*columns).write.parquet(_place(folder, name))


def _place(folder: Path, name: str) -> str:
    return str(folder / f"list-{list(BESIDE).index(name)}")


def _timed(spark: SparkSession, folder: Path, name: str, kind: str) -> float:
    """Plan, and return the seconds."""
    settings = Settings(
        images=str(folder / "images"),
        duplicate_ids=(DuplicateIds(_place(folder, name), "image_id", kind),),
        dry_run=True,
        max_removed_fraction=1,
    )
    started = time.monotonic()
    report = run(spark, settings)
    assert report.counts["removed_rows"]
    return time.monotonic() - started


if __name__ == "__main__":
    main()
