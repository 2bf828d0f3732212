"""In place on an Iceberg table beside clone and in-place on a Delta table of the same files.

    python -m tests.benchmarks.iceberg_methods [--images 60000] [--image-bytes 50000 200000]

It makes a Delta table of random images for each weight (3.0 and 12 GB by default), whose data files
an Iceberg table takes in (`add_files`). It lists 30 % of the IDs, and runs the methods in turns in
one warm session. Each round has fresh tables; making them is not counted. Printed are medians, and
least and most, over the rounds, and what Spark's tasks read.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.benchmarks.delta_methods import Timed, make_table, session
from tests.support.spark.settings import EXTENSIONS, iceberg_catalog
from tests.support.spark.stages import newest_stage, stages_since

METHODS = ("clone (Delta)", "in-place (Delta)", "in-place (Iceberg)")
TABLE = "ice.bench.images"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000, help="rows (default: 60,000)")
    parser.add_argument("--image-bytes", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--format-version", type=int, choices=[2, 3], default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark-iceberg"))
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    catalog = iceberg_catalog(str(folder / "warehouse"))
    spark = session(folder, {"spark.sql.extensions": EXTENSIONS, **catalog})
    results = []
    for image_bytes in options.image_bytes:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"\n{options.images:,} images of {image_bytes:,} bytes, 30 % removed", flush=True)
        size = make_table(spark, folder, options.images, image_bytes)
        names = ["warm-up", *map(str, range(options.rounds))]
        rounds = [run_methods(spark, folder, options.format_version, name) for name in names]
        results += list(summaries(rounds[1:], size))
    shutil.rmtree(folder, ignore_errors=True)
    Path("build/iceberg_methods.json").write_text(json.dumps(results, indent=2))


def run_methods(
    spark: SparkSession, folder: Path, format_version: int, name: str
) -> dict[str, Timed]:
    timed = {}
    for method in METHODS:
        timed[method] = one = run_method(spark, folder, format_version, method)
        steps = {**one.report.seconds, **one.report.steps}
        print(f"  {name:8} {method:18} {one.seconds:6.1f} s  {steps}", flush=True)
    return timed


def run_method(spark: SparkSession, folder: Path, format_version: int, method: str) -> Timed:
    made, out, here = folder / "made", folder / "out", folder / "here"
    settings = {"images": str(made), "method": method.split(" ", maxsplit=1)[0]}
    if method == "clone (Delta)":
        settings["output"] = str(out)
    elif method == "in-place (Delta)":
        spark.sql(f"CREATE TABLE delta.`{here}` SHALLOW CLONE delta.`{made}`").collect()
        settings["images"] = str(here)
    else:
        settings["images"] = TABLE
        take_in(spark, made, format_version)
    newest = newest_stage(spark)
    started = time.monotonic()
    lists = (DuplicateIds(str(folder / "list.parquet")),)
    report = run(spark, Settings(duplicate_ids=lists, **settings))
    seconds = time.monotonic() - started
    read = sum(stage.inputBytes() for stage in stages_since(spark, newest))
    counts = report.counts
    assert counts["kept_rows"] + counts["removed_rows"] == counts["input_rows"], counts
    assert counts["removed_rows"] > 0.29 * counts["input_rows"], counts
    for path in (out, here):
        shutil.rmtree(path, ignore_errors=True)
    return Timed(seconds, read, report)


def take_in(spark: SparkSession, made: Path, format_version: int) -> None:
    """Make the Iceberg table anew, of the files of a directory; they are left where they are."""
    spark.sql(f"DROP TABLE IF EXISTS {TABLE}")
    spark.sql(
        f"CREATE TABLE {TABLE} (image_id STRING, image BINARY, width INT, caption STRING) "
        f"USING iceberg TBLPROPERTIES ('format-version' = '{format_version}', "
        "'write.delete.mode' = 'merge-on-read')"
    )
    spark.sql(
        f"CALL ice.system.add_files(table => '{TABLE}', source_table => '`parquet`.`{made}`')"
    ).collect()


def summaries(rounds: Sequence[dict[str, Timed]], size: int) -> Iterator[dict[str, object]]:
    print(f"  {'':18} {'median s':>8} {'least':>6} {'most':>6} {'MB read':>9}   %")
    for method in METHODS:
        seconds = [each[method].seconds for each in rounds]
        read = max(each[method].read_bytes for each in rounds)
        print(
            f"  {method:18} {statistics.median(seconds):8.1f} {min(seconds):6.1f} "
            f"{max(seconds):6.1f} {read / 1e6:9.1f} {100 * read / size:5.2f}",
            flush=True,
        )
        yield {"table_bytes": size, "method": method, "seconds": seconds, "read_bytes": read}


if __name__ == "__main__":
    main()
