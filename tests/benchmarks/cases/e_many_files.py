"""E: many small files: what a file costs, and how often it is opened."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import COPY, DUCKDB, JOB_ARROW, JOB_SPARK, POLARS, SPARK
from tests.benchmarks.data import Workload
from tests.benchmarks.results import Run, Runs

TITLE = __doc__
CONTENDERS = (JOB_ARROW, JOB_SPARK, DUCKDB, POLARS, COPY, SPARK)
WORKLOADS = {
    "full": Workload(500_000, 2_000, files=5_000),
    "small": Workload(20_000, 2_000, files=200),
}
NAME, COUNTED = "many files", "opens"


def measure(bench: Bench, size: str) -> None:
    made = bench.make(WORKLOADS[size])
    bench.warm(CONTENDERS, {NAME: made})
    bench.opens(CONTENDERS, {COUNTED: made})


def report(runs: Runs) -> Iterator[str]:
    yield tables.measured(runs, NAME, DUCKDB.name)
    yield "What a file costs, and how often one is opened (in a further run, untimed)"
    yield tables.markdown(
        ("contender", "ms per file", "opens per file", "listings of the directory"),
        (_row(runs, name) for name in runs.contenders(NAME)),
    )


def _row(runs: Runs, name: str) -> list[str]:
    found, counted = runs.of(NAME, name), runs.of(COUNTED, name)
    opens, listings = _counts(counted[0]) if counted else (tables.NOTHING, tables.NOTHING)
    return [
        name,
        tables.spread(run.wall_seconds / run.files * 1e3 for run in found),
        opens,
        listings,
    ]


def _counts(run: Run) -> tuple[str, str]:
    opens, listings = run.details["file_opens"] / run.files, run.details["listings"]
    return f"{opens:.2f}", str(listings)
