"""What `make test-writers` runs: other programs write random tables, and the job rewrites them.

    python -m tests.writers PYTHON [--seed 1] [--tables 110] [--keep FOLDER]

PYTHON is that of the writers' environment. Table number n is made of the seed SEED + n: one table
alone is `--seed SEED+n --tables 1`. The exit code is 1 if an output is wrong, or if a table was
refused for a reason that `refusals` does not have.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import DedupError
from tests.support.paths import ROOT
from tests.support.spark.home import use_quick_spark
from tests.support.spark.java_names import remember_java_names
from tests.support.spark.settings import INTERPRETED, SPARK_SETTINGS
from tests.writers.compare import (
    Action,
    Source,
    check_arrow,
    check_source,
    check_spark,
    unread_columns,
)
from tests.writers.refusals import reason_of, why_allowed

ENGINES = ("arrow", "spark")


class Results:
    """Counts what came out, and says at once what must be looked at."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.bad = 0

    def right(self, engine: str) -> None:
        """Count a right output."""
        self.counts[f"right by {engine}"] += 1

    def refused(self, engine: str, table: dict[str, Any], error: Exception) -> None:
        """Count a refusal."""
        self.counts[f"refused by {engine}"] += 1
        why = why_allowed(error)
        self.refusals[f"{engine}: {why or 'NOT LISTED: ' + reason_of(error)}"] += 1
        if why is None:
            self.tell("refused", engine, table, error)

    def tell(self, what: str, engine: str, table: dict[str, Any], error: Exception) -> None:
        """Say what is bad, and how to see it again."""
        self.bad += 1
        print(
            f"\n{what} by {engine}: {type(error).__name__}: {error}\n"
            f"  writers {table['writers']}, columns {table['columns']}\n"
            f"  again: make test-writers SEED={table['seed']} TABLES=1",
            flush=True,
        )

    def report(self) -> None:
        """Print all counts."""
        for counts in (self.counts, self.refusals):
            print()
            for name, count in sorted(counts.items()):
                print(f"{count:6} {name}")


def tables(python: str, folder: Path, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Let the writers write tables; yield what each is as soon as it is there."""
    command = [python, "-m", "tests.writers.write", str(folder), *map(str, seeds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise SystemExit("the writers failed")


def known_source(
    folder: Path, table: dict[str, Any], action: Action, results: Results
) -> Source | None:
    """What is known of a table; None if pyarrow reads other rows than were written."""
    images = {int(row): image for row, image in table["images"].items()}
    source = Source(folder / "images", images, frozenset(table["gone"]), action)
    try:
        unread = unread_columns(source.folder)
    except Exception as error:  # pyarrow can't even open a file: a refusal is all that can be right
        results.refusals[f"files that pyarrow can't open: {reason_of(error)}"] += 1
        return source
    for error in unread.values():
        results.refusals[f"columns that pyarrow can't read: {reason_of(error)}"] += 1
    source = replace(source, unread=frozenset(unread))
    try:
        check_source(source)
    except Exception as error:
        results.tell("not what was written", "pyarrow", table, error)
        return None
    return source


def try_table(spark: SparkSession, folder: Path, table: dict[str, Any], results: Results) -> None:
    """Run the job on a table with each engine, and compare the outputs."""
    random = Random(table["seed"])
    actions: list[Action] = ["remove", "remove", "remove", "remove", "annotate", "extract"]
    action = random.choice(actions)
    if (source := known_source(folder, table, action, results)) is None:
        return
    outcomes: dict[str, str] = {}
    for engine in ENGINES:
        output_format = "parquet"
        if engine == "spark":
            output_format = random.choice(["parquet", "parquet", "parquet", "delta"])
        output = folder / engine
        settings: dict[str, Any] = {"engine": engine, "output_format": output_format}
        if engine == "spark":
            settings["strategy"] = random.choice(["auto", "broadcast-ids", "row-positions"])
            if action == "annotate":  # row positions can't name keepers
                settings["strategy"] = "auto"
        settings["output"] = str(output)
        outcomes[engine] = try_engine(spark, source, folder, settings, table, results)
    if outcomes == {"arrow": "refused", "spark": "right"}:
        settings = {"engine": "auto", "output_format": "parquet", "output": str(folder / "auto")}
        outcomes["auto"] = try_engine(spark, source, folder, settings, table, results)
    if "right" not in outcomes.values():
        results.counts["right by no engine"] += 1


def try_engine(
    spark: SparkSession,
    source: Source,
    folder: Path,
    settings: dict[str, Any],
    table: dict[str, Any],
    results: Results,
) -> str:
    """Run the job once; say whether it was right, refused or bad."""
    engine, output = settings["engine"], Path(settings["output"])
    limits = {"allow_no_matches": True, "allow_empty_list": True, "max_removed_fraction": 1.0}
    lists = (DuplicateIds(str(folder / "list.parquet")),)
    asked = {"images": str(source.folder), "duplicate_ids": lists, "action": source.action}
    try:
        run(spark, Settings(**asked, **limits, **settings))
    except DedupError as error:
        results.refused(engine, table, error)
        if output.exists():
            results.tell("an output in spite of a refusal", engine, table, error)
        return "refused"
    except Exception as error:
        results.tell("crashed", engine, table, error)
        return "bad"
    try:
        if engine == "arrow":
            check_arrow(source, output)
        else:
            check_spark(source, output, settings["output_format"])
    except Exception as error:
        results.tell("WRONG", engine, table, error)
        return "bad"
    results.right(engine)
    return "right"


def start_spark(folder: Path) -> SparkSession:
    """Start one session for all tables."""
    use_quick_spark()
    remember_java_names()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("writers")
    for key, value in (SPARK_SETTINGS | INTERPRETED).items():
        builder = builder.config(key, value)
    spark = builder.config("spark.sql.warehouse.dir", (folder / "warehouse").as_uri()).getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def main(python: str, seed: int, count: int, kept: Path | None) -> int:
    """Try tables; return the exit code."""
    results, started = Results(), time.monotonic()
    print(f"SEED={seed} TABLES={count}", flush=True)
    with tempfile.TemporaryDirectory(prefix="writers-") as name:
        folder = kept or Path(name)
        spark = start_spark(folder)
        for table in tables(python, folder, range(seed, seed + count)):
            results.counts["tables"] += 1
            results.counts["files"] += table["files"]
            results.counts[f"files of tables by {' and '.join(sorted(table['writers']))}"] += table[
                "files"
            ]
            try_table(spark, folder / str(table["seed"]), table, results)
            if kept is None:
                shutil.rmtree(folder / str(table["seed"]))
        spark.stop()
    results.report()
    print(f"\n{time.monotonic() - started:.0f} s; {results.bad} to look at")
    return 1 if results.bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.writers")
    parser.add_argument("python")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", type=int, default=110)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    sys.exit(main(given.python, given.seed, given.tables, given.keep))
