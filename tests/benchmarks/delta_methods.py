"""Clone and in-place beside a rewrite: seconds, and bytes read, of tables that weigh ever more.

    python -m tests.benchmarks.delta_methods [--images 60000] [--image-bytes 50000 200000]

It makes a Delta table of random images for each weight (3.0 and 12 GB by default; free disk for
twice the largest), lists 30 % of its IDs, and runs the three methods in turns in one warm session.
Printed are medians, and least and most, over the rounds; starting the session is not counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Report, Settings, run
from dedup_lib.session.conf import session_settings
from tests.support.spark.stages import newest_stage, stages_since

FILES = 24
ROW_GROUP_BYTES = 64 * 1024**2
METHODS = ("rewrite to Parquet", "rewrite to Delta", "clone", "in-place")


@dataclass(frozen=True)
class Timed:
    """One run: wall seconds, bytes read by Spark's tasks, and the report."""

    seconds: float
    read_bytes: int
    report: Report


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000, help="rows (default: 60,000)")
    parser.add_argument("--image-bytes", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark-delta"))
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    spark = session(folder)
    results = []
    for image_bytes in options.image_bytes:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"\n{options.images:,} images of {image_bytes:,} bytes, 30 % removed", flush=True)
        size = make_table(spark, folder, options.images, image_bytes)
        run_methods(spark, folder, METHODS[2:], "warm-up")
        rounds = [run_methods(spark, folder, METHODS, str(n)) for n in range(options.rounds)]
        results += list(summaries(rounds, size))
    shutil.rmtree(folder, ignore_errors=True)
    Path("build/delta_methods.json").write_text(json.dumps(results, indent=2))


def session(folder: Path, more: Mapping[str, str] | None = None) -> SparkSession:
    builder = SparkSession.builder.master("local[2]").appName("benchmark")
    for key, value in {
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        **(more or {}),
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def make_table(spark: SparkSession, folder: Path, num_images: int, image_bytes: int) -> int:
    """Make `images` (Delta) and `list` (Parquet); return the bytes of the table's files."""
    made, per_file = folder / "made", num_images // FILES
    made.mkdir(parents=True)
    for number in range(FILES):
        first = number * per_file
        writer = None
        for start in range(first, first + per_file, 500):
            table = rows(range(start, min(start + 500, first + per_file)), image_bytes)
            writer = writer or pq.ParquetWriter(
                made / f"{number:02}.parquet",
                table.schema,
                compression={"image": "none"},
                use_dictionary=["caption"],
            )
            writer.write_table(table, row_group_size=max(1, ROW_GROUP_BYTES // image_bytes))
        writer.close()
    ids = [image_id(n) for n in range(num_images) if n % 10 < 3]
    pq.write_table(pa.table({"id": ids}), folder / "list.parquet")
    # Delta with statistics, as writers make it: they are worked out from all columns.
    with session_settings(spark, {"spark.sql.parquet.columnarReaderBatchSize": "64"}):
        spark.sql(f"CONVERT TO DELTA parquet.`{made}`").collect()
    table = f"delta.`{made}`"
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    return sum(path.stat().st_size for path in made.glob("*.parquet"))


def image_id(number: int) -> str:
    return f"image-{number * 2_654_435_761 % 2**32:010}-{number:08}"


def rows(numbers: range, image_bytes: int) -> pa.Table:
    random = np.random.default_rng(numbers.start)
    data = random.integers(0, 256, len(numbers) * image_bytes, dtype=np.uint8)
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * image_bytes
    images = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return pa.table(
        {
            "image_id": [image_id(number) for number in numbers],
            "image": images.cast(pa.binary()),
            "width": pa.array([n % 4096 for n in numbers], pa.int32()),
            "caption": [f"a picture of thing {n % 1000}" for n in numbers],
        }
    )


def run_methods(
    spark: SparkSession, folder: Path, methods: Sequence[str], name: str
) -> dict[str, Timed]:
    timed = {method: run_method(spark, folder, method) for method in methods}
    for method, one in timed.items():
        steps = {**one.report.seconds, **one.report.steps}
        print(f"  {name:8} {method:18} {one.seconds:6.1f} s  {steps}", flush=True)
    return timed


def run_method(spark: SparkSession, folder: Path, method: str) -> Timed:
    images, out, here = folder / "made", folder / "out", folder / "here"
    settings = {"method": method.split(" ", maxsplit=1)[0]}
    if method == "in-place":  # on a table that shares the files: each round wants a fresh one
        spark.sql(f"CREATE TABLE delta.`{here}` SHALLOW CLONE delta.`{images}`").collect()
        images = here
    else:
        settings["output"] = str(out)
    if method == "rewrite to Delta":
        settings["output_format"] = "delta"
    lists = (DuplicateIds(str(folder / "list.parquet")),)
    newest = newest_stage(spark)
    started = time.monotonic()
    report = run(spark, Settings(images=str(images), duplicate_ids=lists, **settings))
    seconds = time.monotonic() - started
    read = sum(stage.inputBytes() for stage in stages_since(spark, newest))
    for path in (out, here):
        shutil.rmtree(path, ignore_errors=True)
    return Timed(seconds, read, report)


def summaries(rounds: Sequence[dict[str, Timed]], size: int) -> Iterator[dict[str, object]]:
    fastest = min(
        statistics.median(each[method].seconds for each in rounds) for method in METHODS[:2]
    )
    print(f"  {'':18} {'median s':>8} {'least':>6} {'most':>6} {'x rewrite':>9} {'MB read':>9}   %")
    for method in METHODS:
        seconds = [each[method].seconds for each in rounds]
        median = statistics.median(seconds)
        read = max(each[method].read_bytes for each in rounds)
        print(
            f"  {method:18} {median:8.1f} {min(seconds):6.1f} {max(seconds):6.1f} "
            f"{fastest / median:9.1f} {read / 1e6:9.1f} {100 * read / size:5.2f}",
            flush=True,
        )
        yield {"table_bytes": size, "method": method, "seconds": seconds, "read_bytes": read}


if __name__ == "__main__":
    main()
