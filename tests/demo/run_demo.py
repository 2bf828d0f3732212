"""What `make demo` runs: a table of real pictures, a list of near-duplicates, and their removal.

.venv/bin/python -m tests.demo.run_demo [--work-directory build/demo]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import DedupError
from dedup_lib.settings import Strategy, TableFormat
from tests.demo import (
    choose_eps,
    curators_way,
    iceberg_branch,
    near_duplicates,
    pictures,
    spark_runs,
)
from tests.demo.spark_runs import DemoError
from tests.demo.steps import Json, Places, check, size_mb, step, submit_aloud
from tests.support.paths import ROOT


@dataclass(frozen=True)
class Job:
    """One run of the job that writes an output."""

    images: Path
    output: Path
    format: TableFormat
    strategy: Strategy = "auto"

    @property
    def way(self) -> str:
        """How rows are found and moved: by engine arrow, or by a strategy of engine spark."""
        return "arrow" if self.strategy == "auto" else self.strategy


@dataclass(frozen=True)
class Inputs:
    """What the demo has made, and what must come out: the table without the listed IDs."""

    images: pa.Table
    listed: list[str]

    @property
    def expected(self) -> pa.Table:
        listed = set(self.listed)
        return self.images.filter([i.as_py() not in listed for i in self.images["image_id"]])


def main() -> int:
    """Run the demo; the exit code is 0 where all came out as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-directory", type=Path, default=ROOT / "build/demo")
    work = parser.parse_args().work_directory.resolve()
    os.chdir(ROOT)
    spark_runs.use_own_environment()
    places = Places(Path(os.path.relpath(work)))
    try:
        prepare(places)
        demo(places)
    except (DemoError, DedupError, PySparkException) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        print_end_of(places.log)
        return 1
    return 0


def prepare(places: Places) -> None:
    """Make the work directory anew; only one that an earlier demo left is deleted."""
    if places.log.is_file():
        shutil.rmtree(places.work)
    if places.work.exists() and any(places.work.iterdir()):
        raise DemoError(f"{places.work} holds what no demo has made: choose another directory")
    places.work.mkdir(parents=True, exist_ok=True)
    places.log.touch()


def demo(places: Places) -> None:
    """Run the job in six ways on tables, and compare what came out; choose an eps; shards."""
    started = time.monotonic()
    print(f"Remove duplicate images: a demo with real pictures, in {places.work}")
    inputs = make_inputs(places)
    jobs = [
        Job(places.images, places.work / "kept", "parquet"),
        Job(places.images, places.work / "kept-by-broadcast", "parquet", "broadcast-ids"),
        Job(places.images, places.work / "kept-by-position", "parquet", "row-positions"),
        Job(places.delta_images, places.work / "kept-delta", "delta", "broadcast-ids"),
        Job(places.delta_images, places.work / "kept-delta-by-position", "delta", "row-positions"),
    ]
    dry_run(places, jobs[0], inputs)
    first = real_run(places, jobs[0], inputs)
    with spark_runs.session(places.log, places.work / "warehouse") as spark:
        make_delta_copy(spark, places)
        second = real_run(places, jobs[3], inputs)
        with step("The same by the strategies of Spark's engine, by dedup_lib.run(…)"):
            reports = [first, *(run_here(spark, places, job) for job in jobs[1:3])]
            reports += [second, run_here(spark, places, jobs[4])]
        with step("Compare the five outputs: SHA-256 over all rows, in every column"):
            compare(spark, jobs, reports, inputs)
        books = f"{inputs.expected.num_rows:,} kept + {len(inputs.listed):,} removed"
        print(f"\nAll five are the same, to the byte: {books} = {inputs.images.num_rows:,} rows.")
        with step("The same in place, in an Iceberg table: a branch, verified, then published"):
            iceberg_branch.make_table(spark, places)
            check_counts(iceberg_branch.delete_in_place(spark, places), inputs)
            found = digest(spark.table(iceberg_branch.TABLE).toArrow())
            check("SHA-256 of the Iceberg table's rows", found, digest(inputs.expected))
            print("   its rows are those of the five outputs, to the byte")
        choose_eps.show(spark, places, inputs.images)
    curators_way.show(places, inputs.images, inputs.listed)
    print(f"Done in {time.monotonic() - started:.0f} s.")


def make_inputs(places: Places) -> Inputs:
    """Make the image table and the removal list."""
    with step("An image table, from photographs that come with scikit-image"):
        images = pictures.image_table()
        pictures.write_shards(images, places.images)
        print_images(places.images, images)
    with step("A removal list: near-duplicates, as another program would find them"):
        table = pq.read_table(places.images, columns=["image_id", "image"])
        listed = near_duplicates.find_near_duplicates(table)
        near_duplicates.write_list(listed, places.duplicates)
        print_list(places.duplicates, images, listed)
    return Inputs(images, listed)


def dry_run(places: Places, job: Job, inputs: Inputs) -> None:
    """Plan and check through spark-submit, and see that no output is there afterwards."""
    with step("A dry run: what would go?"):
        report = submit(places, job, "--dry-run", name="dry-run")
        check("status of the dry run", report["status"], "dry_run")
        check("existence of an output after the dry run", job.output.exists(), False)
        check_counts(report, inputs)
        print_counts(report)


def real_run(places: Places, job: Job, inputs: Inputs) -> Json:
    """Remove the listed rows through spark-submit; for Parquet, keep the removed IDs as well."""
    headlines = {"parquet": "The removal", "delta": "The removal, from Delta to Delta"}
    removed = ("--removed-output", str(places.removed)) if job.format == "parquet" else ()
    with step(headlines[job.format]):
        report = submit(places, job, *removed, name=job.output.name)
        check_counts(report, inputs)
        print_counts(report)
        phases = ", ".join(f"{name} {spent:.1f}" for name, spent in report["seconds"].items())
        print(f"   seconds: {phases}")
        if removed:
            ids = pq.read_table(places.removed)["image_id"].to_pylist()
            check("the IDs in --removed-output", sorted(ids), sorted(inputs.listed))
    return report


def submit(places: Places, job: Job, *more: str, name: str) -> Json:
    """Run the job by spark-submit, on the plain list."""
    arguments = ["--images", str(job.images), "--duplicate-ids", str(places.duplicates)]
    arguments += ["--output", str(job.output)]
    arguments += [] if job.strategy == "auto" else ["--strategy", job.strategy]
    arguments += [] if job.format == "parquet" else ["--output-format", job.format]
    arguments += [*more, "--report", str(places.report(name))]
    return submit_aloud(arguments, places)


def make_delta_copy(spark: SparkSession, places: Places) -> None:
    """Make the Delta table, and say what is in it."""
    with step("The same table as Delta, with deletion vectors"):
        deleted = spark_runs.make_delta_copy(spark, places.images, places.delta_images)
        what = f"the same rows, and {deleted} more that deletion vectors hide"
        print(f"   {places.delta_images}: {what}, {size_mb(places.delta_images)}")


def run_here(spark: SparkSession, places: Places, job: Job) -> Json:
    """Run the job in this process, as a notebook or a pipeline of one's own would."""
    settings = Settings(
        images=str(job.images),
        duplicate_ids=(DuplicateIds(str(places.duplicates)),),
        output=str(job.output),
        output_format=job.format,
        strategy=job.strategy,
        report=str(places.report(job.output.name)),
    )
    report = run(spark, settings).as_dict()
    print(f"   {job.output}: {report['total_seconds']:.1f} s")
    return report


def compare(spark: SparkSession, jobs: list[Job], reports: list[Json], inputs: Inputs) -> None:
    """Read the outputs back, and see that each is the input without the listed IDs."""
    expected = digest(inputs.expected)
    print(f"   {'output':<34} {'way':<14} {'kept':>6} {'removed':>8} {'MB':>6}  SHA-256")
    for job, report in zip(jobs, reports, strict=True):
        check_counts(report, inputs)
        check(f"way of {job.output}", report["strategy"] or report["engine"], job.way)
        found = digest(read(spark, job))
        counts, megabytes = report["counts"], report["bytes"]["output"] / 1e6
        print(
            f"   {job.output!s:<34} {job.way:<14} {counts['kept_rows']:>6,} "
            f"{counts['removed_rows']:>8,} {megabytes:>6.1f}  {found[:12]}…"
        )
        check(f"SHA-256 of the rows of {job.output}", found, expected)
    what = "the input without the listed IDs"
    print(f"   {what:<49} {inputs.expected.num_rows:>6,} {'':>8} {'':>6}  {expected[:12]}…")


def read(spark: SparkSession, job: Job) -> pa.Table:
    """Read an output back: Parquet without Spark, Delta through its log."""
    if job.format == "parquet":
        return pq.read_table(job.output)
    return spark.read.format("delta").load(str(job.output)).toArrow()


def digest(table: pa.Table) -> str:
    """Return a SHA-256 over columns, types and rows, whatever the order of the rows."""
    rows = sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in table.to_pylist())
    columns = [f"{field.name}: {field.type}" for field in table.schema]
    return hashlib.sha256("\n".join([*columns, *rows]).encode()).hexdigest()


def check_counts(report: Json, inputs: Inputs) -> None:
    """See that the report's books are those of the inputs."""
    found = {name: report["counts"][name] for name in ("input_rows", "removed_rows", "kept_rows")}
    found["list_matched_ids"] = report["counts"]["list_matched_ids"]
    expected = {
        "input_rows": inputs.images.num_rows,
        "removed_rows": len(inputs.listed),
        "kept_rows": inputs.images.num_rows - len(inputs.listed),
        "list_matched_ids": len(inputs.listed),
    }
    check("counts of the report", found, expected)


def print_images(directory: Path, images: pa.Table) -> None:
    """Say what is in the image table."""
    formats = Counter(images["format"].to_pylist())
    names = {source["picture"] for source in images["source"].to_pylist()}
    num_crops = len(set(images["caption"].to_pylist()))
    print(
        f"   {directory}: {images.num_rows:,} rows, {len(list(directory.iterdir()))} Parquet "
        f"files, {size_mb(directory)} ({formats['JPEG']:,} JPEG, {formats['PNG']:,} PNG)\n"
        f"   {num_crops:,} crops of {len(names)} photographs, and "
        f"{images.num_rows - num_crops:,} of them again, resized or at another JPEG quality"
    )


def print_list(directory: Path, images: pa.Table, listed: list[str]) -> None:
    """Say what is in the removal list, and how much of it is right: captions tell crops apart."""
    captions = dict(zip(images["image_id"].to_pylist(), images["caption"].to_pylist(), strict=True))
    made = len(captions) - len(set(captions.values()))
    left = {caption for image_id, caption in captions.items() if image_id not in set(listed)}
    lost = len(set(captions.values())) - len(left)
    num_files = len(list(directory.iterdir()))
    print(
        f"   {directory}: {len(listed):,} IDs, {num_files} Parquet files, one of them empty "
        "and untyped\n"
        f"   by perceptual hash: {len(listed) - lost:,} of {made:,} near-duplicates found, "
        f"{lost} other pictures taken for one"
    )


def print_counts(report: Json) -> None:
    """Say what a run found and did."""
    counts = report["counts"]
    print(
        f"   {counts['input_rows']:,} rows = {counts['kept_rows']:,} kept + "
        f"{counts['removed_rows']:,} removed; {counts['list_distinct_ids']:,} IDs listed, "
        f"{counts['list_unmatched_ids']:,} of them not in the table"
    )


def print_end_of(log: Path) -> None:
    """Show the last lines of the log."""
    if log.is_file():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"The end of {log}:", *lines[-40:], sep="\n  ", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
