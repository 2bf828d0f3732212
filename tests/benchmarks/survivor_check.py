"""Follow the keepers of many pairs, in chains: seconds, rounds, and peak memory.

    python -m tests.benchmarks.survivor_check [--pairs 20000000] [--longest 10]

Every chain has a survivor, its first image, and from one to LONGEST that go: each of these names
the one before it. IDs are spread, so that neither table nor list is sorted by chain. A heap of
4 GB, two cores. Printed are the report's counts and the seconds of its steps.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dedup_lib import DuplicateIds, Settings, run
from tests.benchmarks.delta_methods import session
from tests.benchmarks.metering import PeakMemory

FILE_ROWS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20_000_000)
    parser.add_argument("--longest", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark-survivors"))
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    if not (folder / "pairs").exists():
        make(folder, options.pairs, options.longest)
    spark = session(folder)
    settings = Settings(
        images=f"{folder}/images",
        duplicate_ids=(DuplicateIds(f"{folder}/pairs"),),
        eps=0.1,
        list_counts="matched",
        work_location=f"{folder}/work",
        max_removed_fraction=1.0,
        dry_run=True,
    )
    with PeakMemory(psutil.Process()) as memory:
        report = run(spark, settings)
    print(json.dumps({"counts": report.counts, "keepers": report.keepers}, indent=1))
    print(json.dumps(report.steps | {"all": report.total_seconds}, indent=1))
    print(f"peak of the process tree: {memory.resident_bytes / 1e6:,.0f} MB")
    spark.stop()
    if report.keepers["surviving_here_ids"] != report.keepers["with_keeper_ids"]:
        sys.exit("an image has no survivor")


def make(folder: Path, num_pairs: int, longest: int) -> None:
    """Make `images` (IDs only) and `pairs`, of one million rows a file."""
    lengths = np.resize(np.arange(1, longest + 1), 2 * num_pairs // (longest + 1) + longest)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), num_pairs) + 1]
    firsts = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
    num_images = int((lengths + 1).sum())
    goes = np.ones(num_images, dtype=bool)
    goes[firsts] = False
    going = np.flatnonzero(goes)
    generator = np.random.default_rng(0)
    _write(folder / "images", {"image_id": generator.permutation(num_images)})
    shuffled = generator.permutation(going)
    _write(folder / "pairs", {"id": shuffled, "max_id": shuffled - 1})


def _write(directory: Path, numbers: dict[str, np.ndarray]) -> None:
    directory.mkdir(parents=True)
    num_rows = len(next(iter(numbers.values())))
    for start in range(0, num_rows, FILE_ROWS):
        rows = {name: _ids(column[start : start + FILE_ROWS]) for name, column in numbers.items()}
        if "max_id" in rows:
            rows["cosine_sim_score"] = pa.array(np.full(len(rows["id"]), 0.95, dtype=np.float32))
        pq.write_table(pa.table(rows), directory / f"{start // FILE_ROWS:03}.parquet")


def _ids(numbers: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise("image-", digits, "")


if __name__ == "__main__":
    main()
