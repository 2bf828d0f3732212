"""One way through all cases of tests.benchmarks.gpu, in one warm session: a process of its own.

    python -m tests.benchmarks.gpu_side WAY ROUNDS FOLDER

It reads FOLDER/cases.json and writes FOLDER/WAY.json: of each case the seconds of plan and rewrite
in each round, and what identifies the rows that came out. The disk is synced before each run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Report, Settings, run
from dedup_lib.parquet.format import ParquetFormat
from dedup_lib.session.conf import session_settings
from dedup_lib.tables.target import Staged

STRICT = {"spark.rapids.sql.test.enabled": "true"}


def main(way: str, rounds: int, folder: Path) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.appName("benchmark").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    cases = json.loads((folder / "cases.json").read_text())
    timed(spark, cases[0], way, folder)  # a warm-up
    results = [result_of(spark, case, way, rounds, folder) for case in cases]
    (folder / f"{way}.json").write_text(json.dumps(results))
    spark.stop()


def result_of(
    spark: SparkSession, case: dict[str, Any], way: str, rounds: int, folder: Path
) -> dict[str, Any]:
    reports = [timed(spark, case, way, folder) for _ in range(rounds)]
    with session_settings(spark, {"spark.rapids.sql.enabled": "false"}):
        rows = identity(spark.read.parquet(str(folder / "out")))
    # A GPU's footers are read in `check`, another way's in `apply`.
    seconds = {
        "plan": [report.seconds["plan"] for report in reports],
        "apply": [report.seconds["check"] + report.seconds["apply"] for report in reports],
    }
    print(f"  {case['title']:40} {seconds}", flush=True)
    return {"title": case["title"], **seconds, "rows": rows, "gpu": reports[-1].gpu}


def timed(spark: SparkSession, case: dict[str, Any], way: str, folder: Path) -> Report:
    """Run once; the output is left for whoever compares it."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    os.sync()
    settings = Settings(
        images=case["images"],
        duplicate_ids=(DuplicateIds(case["duplicate_ids"]),),
        output=str(folder / "out"),
        engine="spark" if way == "gpu" else way,
        list_counts="matched",
        require_gpu=way == "gpu",
    )
    with strict(spark) if way == "gpu" else contextlib.nullcontext():
        return run(spark, settings)


@contextlib.contextmanager
def strict(spark: SparkSession) -> Iterator[None]:
    """Let the accelerator fail where a part of the rewrite would run on the CPU.

    Not in the plan, which reads `_metadata`: that is the CPU's.
    """
    stage = ParquetFormat.stage

    def strictly(*arguments: Any, **named: Any) -> Staged:
        with session_settings(spark, STRICT):
            return stage(*arguments, **named)

    with mock.patch.object(ParquetFormat, "stage", strictly):
        yield


def identity(frame: DataFrame) -> list[Any]:
    """Return how many rows there are, and a sum over hashes of all of them, in any order."""
    hashes = frame.select(F.xxhash64(*sorted(frame.columns)).cast("decimal(38,0)").alias("hash"))
    count, total = hashes.agg(F.count("hash"), F.sum("hash")).collect()[0]
    return [count, str(total)]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
