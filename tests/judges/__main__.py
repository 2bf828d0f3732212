"""What `make test-shards` runs: other programs write shards, and read what the job makes of them.

    python -m tests.judges PYTHON [--keep FOLDER]

PYTHON is that of their environment. The exit code is 1 if a judge finds something else than what it
found in the input, less the samples that must be gone; see `write` for the writers and lists,
`read` for the judges.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.judges.compare import (
    DifferenceError,
    Read,
    Removal,
    check,
    listed_by_tar,
    removal_by_curator,
)
from tests.support.paths import ROOT
from tests.writers.__main__ import start_spark

# The list that is used, and where its IDs are.
WAYS = {"by-key": "key", "by-1": "curator", "by-2": "curator:2"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def module(python: str, name: str, *arguments: Path, log: Path) -> str:
    """Run a module in the judges' environment; return what it prints."""
    with log.open("a") as stderr:
        done = subprocess.run(
            [python, "-m", f"tests.judges.{name}", *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | OFFLINE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{name} failed: {log.read_text()[-3000:]}")
    return done.stdout


def remove(spark: SparkSession, place: Path, way: str) -> int:
    """Run the job on what a writer has written; return how many samples it removed."""
    settings = Settings(
        images=str(place / "shards"),
        duplicate_ids=(DuplicateIds(str(place / way)),),
        image_id_from=WAYS[way],
        output=str(place / f"out-{way}"),
        output_format="webdataset",
    )
    return int(run(spark, settings).counts["removed_rows"])


def read_all(python: str, directories: list[Path], log: Path) -> list[Read]:
    """Let all judges read directories of shards."""
    lines = module(python, "read", *directories, log=log).splitlines()
    found = [json.loads(line) for line in lines]
    for directory, one in zip(directories, found, strict=True):
        one["tar -tv"] = listed_by_tar(directory)
    return found


def removal_of(place: Path, way: str, before: Read) -> Removal:
    """What must be gone: the listed keys, or what Curator's stage does not keep."""
    if WAYS[way] == "key":
        return Removal(set(pq.read_table(place / way)["id"].to_pylist()))
    kept = json.loads((place / f"kept-{way.removeprefix('by-')}.json").read_text())
    return removal_by_curator(before, kept)


def judge(python: str, spark: SparkSession, place: Path, log: Path) -> int:
    """Remove samples in each way, and compare; return how many outputs are wrong."""
    removed = {way: remove(spark, place, way) for way in WAYS}
    directories = [place / "shards", *(place / f"out-{way}" for way in WAYS)]
    before, *outputs = read_all(python, directories, log)
    num_wrong = 0
    for way, after in zip(WAYS, outputs, strict=True):
        counts = ", ".join(f"{len(found)} by {name}" for name, found in after.items())
        print(f"  {place.name:20} {WAYS[way]:10} {removed[way]:3} removed; {counts}", flush=True)
        try:
            check(removal_of(place, way, before), removed[way], before, after)
        except DifferenceError as error:
            print(f"  WRONG: {error}", flush=True)
            num_wrong += 1
    return num_wrong


def main(python: str, kept: Path | None) -> int:
    """Return the exit code."""
    logging.disable(logging.WARNING)  # what lies beside shards, and in them
    started, python = time.monotonic(), str(Path(python).absolute())
    with tempfile.TemporaryDirectory(prefix="judges-") as name:
        folder = (kept or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "log"
        module(python, "write", folder / "written", log=log)
        spark = start_spark(folder)
        places = sorted((folder / "written").iterdir())
        num_wrong = sum(judge(python, spark, place, log) for place in places)
        spark.stop()
    print(f"\n{time.monotonic() - started:.0f} s; {num_wrong} outputs are wrong")
    return 1 if num_wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.judges")
    parser.add_argument("python")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    sys.exit(main(given.python, given.keep))
