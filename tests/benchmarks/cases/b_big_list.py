"""B: rewrite a table whose removal list is far larger than the table."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import DUCKDB, POLARS, PYARROW_SET, SPARK, this_job
from tests.benchmarks.data import Workload
from tests.benchmarks.results import Runs

TITLE = __doc__
# One session for all of these: several heaps of 4 GB would leave the peers too little memory.
JOBS = (
    this_job("arrow, matched", engine="arrow", list_counts="matched", session="job"),
    this_job("spark, matched", engine="spark", list_counts="matched", session="job"),
    this_job("spark, exact", engine="spark", list_counts="exact", session="job"),
)
# Not here: Spark with a forced broadcast, which doesn't end with 40 M IDs and such a heap.
CONTENDERS = (*JOBS, DUCKDB, POLARS, PYARROW_SET, SPARK)
WORKLOADS = {
    "full": Workload(60_000, 50_000, list_entries=40_000_000),
    "small": Workload(1_500, 50_000, list_entries=400_000),
}
HEAP_BYTES = 4 * 1024**3
LIMIT_BYTES = HEAP_BYTES + 1_500_000_000
NAME = "big list"


def measure(bench: Bench, size: str) -> None:
    bench.warm(CONTENDERS, {NAME: bench.make(WORKLOADS[size])})


def report(runs: Runs) -> Iterator[str]:
    yield f"In seconds of {DUCKDB.name}"
    yield tables.measured(runs, NAME, DUCKDB.name)
    yield f"In seconds of {SPARK.name}"
    yield tables.markdown(
        ("contender", f"x {SPARK.name}"),
        (
            (name, tables.spread(tables.ratios(runs.of(NAME, name), runs.of(NAME, SPARK.name))))
            for name in runs.contenders(NAME)
        ),
    )
    peaks = [run.resident_bytes for job in JOBS for run in runs.of(NAME, job.name)]
    if peaks:
        yield (
            f"Peak memory of this job: {max(peaks) / 1e6:,.0f} MB; "
            f"the heap and 1.5 GB are {LIMIT_BYTES / 1e6:,.0f} MB.\n"
        )
