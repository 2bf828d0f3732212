"""CPU and GPU beside each other: seconds of the plan and of the rewrite of the same tables.

    python -m tests.benchmarks.gpu [--gigabytes 1 4 16] [--rounds 3] [--folder build/benchmark-gpu]

For each size it makes tables of images of 20 KB to 20 MB, one whose list is long, and one without
images (a hundred columns, compressed by zstd); sizes that the disk can't hold are left out, and
named. Three ways take each: `arrow` and `spark` on the CPU, `spark` on the GPU. Each is a process
of its own with a warm session, and as much heap. On the GPU the accelerator's strict mode makes it
an error when anything of the rewrite falls back; the rows of all three must be the same. Without a
GPU the CPU's side is timed, and that is said. Nothing is fetched but the accelerator's jar, where
there is a GPU and `make test-gpu-plan` has not fetched it yet.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.data import CAPTIONS, SEED, Workload, image_ids, make, size_of
from tests.support.jars.rapids_jar import JAR, why_no_jar
from tests.support.paths import ROOT

WAYS = ("arrow", "spark", "gpu")
IMAGE_BYTES = (20_000, 200_000, 2_000_000, 20_000_000)
WIDE_COLUMNS = 100
LONG_LIST = 20_000_000
FILE_BYTES = 128 * 1000**2
NO_GPU = "No GPU here: nvidia-smi finds none. Only the CPU's side was timed."


@dataclass(frozen=True)
class Case:
    """A table and a list, made."""

    title: str
    images: str
    duplicate_ids: str
    file_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/benchmark-gpu")
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    has_gpu = gpu_name() is not None
    if has_gpu and (reason := why_no_jar()) is not None:
        sys.exit(f"the RAPIDS Accelerator can't be had: {reason}")
    print(f"GPU: {gpu_name() or 'none'}; {os.cpu_count()} cores", flush=True)
    cases = list(make_cases(options.gigabytes, folder))
    results = {way: run_way(way, cases, options) for way in WAYS if has_gpu or way != "gpu"}
    check_same_rows(cases, results)
    print("\n" + table(cases, results))
    folder.with_suffix(".json").write_text(json.dumps(results, indent=2))
    shutil.rmtree(folder)
    if not has_gpu:
        print(f"\n{NO_GPU}")


def gpu_name() -> str | None:
    """Return what the driver calls the first GPU; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    names = result.stdout.split("\n") if result.returncode == 0 else []
    return names[0].strip() if names and names[0].strip() else None


def make_cases(gigabytes: Sequence[float], folder: Path) -> Iterator[Case]:
    """Make the tables, the smaller ones first, while the disk holds them and an output."""
    for size in sorted(gigabytes):
        wanted = int(size * 1e9)
        if shutil.disk_usage(folder).free < (len(IMAGE_BYTES) + 4) * wanted:
            print(f"  {size:g} GB are left out: the disk is too small for its tables", flush=True)
            continue
        for image_bytes in IMAGE_BYTES:
            yield _images(wanted, image_bytes, folder)
        yield _images(wanted, IMAGE_BYTES[0], folder, list_entries=LONG_LIST)
        yield _wide(wanted, folder)


def _images(wanted: int, image_bytes: int, folder: Path, *, list_entries: int = 0) -> Case:
    rows = max(10, wanted // image_bytes)
    files = max(2, min(rows, wanted // FILE_BYTES))
    made = make(Workload(rows, image_bytes, files, list_entries=list_entries), folder)
    weight = f"{image_bytes // 1000:,} KB"
    title = f"images of {weight}" + (f", {list_entries:,} listed" if list_entries else "")
    return Case(title, str(made.images), str(made.duplicate_ids), made.file_bytes)


def _wide(wanted: int, folder: Path) -> Case:
    """Make a table of numbers and captions, whose list names 30 % of it."""
    images, listed = folder / f"wide-{wanted}", folder / f"wide-list-{wanted}.parquet"
    images.mkdir(exist_ok=True)
    rows, number = max(1000, min(500_000, wanted // 4000)), 0
    while size_of(images) < wanted:
        batch = _wide_rows(number, rows)
        pq.write_table(batch, images / f"part-{number:05}.parquet", compression="zstd")
        number += 1
    ids = image_ids(np.arange(0, number * rows * 3 // 10))
    pq.write_table(pa.table({"id": ids}), listed)
    title = f"{WIDE_COLUMNS} columns, no image, zstd"
    return Case(title, str(images), str(listed), size_of(images))


def _wide_rows(number: int, rows: int) -> pa.Table:
    random = np.random.default_rng([SEED, number])
    columns: dict[str, Any] = {"image_id": image_ids(np.arange(number * rows, (number + 1) * rows))}
    for column in range(1, WIDE_COLUMNS):
        if column % 4 == 0:
            columns[f"caption_{column}"] = CAPTIONS.take(pa.array(random.integers(0, 1000, rows)))
        else:
            columns[f"number_{column}"] = random.integers(0, 10 ** (column % 8 + 1), rows)
    return pa.table(columns)


def run_way(way: str, cases: Sequence[Case], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Let a process take all cases by one way; return what it found of each."""
    folder = options.folder.absolute()
    cases_file, found = folder / "cases.json", folder / f"{way}.json"
    cases_file.write_text(json.dumps([asdict(case) for case in cases]))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    conf = "gpu-local" if way == "gpu" else "cpu"
    submit = [
        *("--master", f"local[{os.cpu_count()}]", "--conf", "spark.ui.enabled=false"),
        *("--properties-file", str(ROOT / f"conf/spark/{conf}.conf")),
        *("--driver-memory", f"{max(2, memory // 4 // 1024**3)}g"),
        *(("--jars", str(JAR)) if way == "gpu" else ()),
        "pyspark-shell",
    ]
    print(f"\n{way}", flush=True)
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gpu_side", way, str(options.rounds), str(folder)],
        env={**os.environ, "PYSPARK_SUBMIT_ARGS": shlex.join(submit)},
        check=True,
        cwd=ROOT,
    )
    results: list[dict[str, Any]] = json.loads(found.read_text())
    return results


def check_same_rows(cases: Sequence[Case], results: dict[str, list[dict[str, Any]]]) -> None:
    """Compare what came out, row for row by hashes of all columns."""
    for index, case in enumerate(cases):
        found = {way: tuple(rows[index]["rows"]) for way, rows in results.items()}
        if len(set(found.values())) != 1:
            raise SystemExit(f"{case.title}: other rows came out: {found}")
    print("\nThe rows of all ways are the same in each case.")


def table(cases: Sequence[Case], results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the medians as a table for the README; a ratio is that of `spark` to the GPU."""
    lines = [
        "| | GB | plan: CPU | GPU | ratio | rewrite: `arrow`, CPU | `spark`, CPU | GPU | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for index, case in enumerate(cases):
        plan = {way: statistics.median(rows[index]["plan"]) for way, rows in results.items()}
        apply = {way: statistics.median(rows[index]["apply"]) for way, rows in results.items()}
        cells = [
            *(case.title, f"{case.file_bytes / 1e9:.2f}"),
            *(_seconds(plan, "spark"), _seconds(plan, "gpu"), _ratio(plan)),
            *(_seconds(apply, "arrow"), _seconds(apply, "spark"), _seconds(apply, "gpu")),
            _ratio(apply),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(found: dict[str, float], way: str) -> str:
    return f"{found[way]:.1f} s" if way in found else "-"


def _ratio(found: dict[str, float]) -> str:
    return f"{found['spark'] / found['gpu']:.2f}" if "gpu" in found else "-"


if __name__ == "__main__":
    main()
