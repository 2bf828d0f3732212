"""C: find the rows that go where table and list are both large: no image is read or written."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import DUCKDB_PLAN, POLARS_PLAN, this_job
from tests.benchmarks.data import Workload
from tests.benchmarks.results import Runs

TITLE = __doc__
# DuckDB and Polars find the same rows, as (file, row): a plan without its checks and counts.
CONTENDERS = (this_job("dry run", makes="plan"), DUCKDB_PLAN, POLARS_PLAN)
WORKLOADS = {
    "full": Workload(50_000_000, 16, removed_fraction=0.5, list_entries=50_000_000),
    "small": Workload(500_000, 16, removed_fraction=0.5, list_entries=500_000),
}
NAME = "big both"


def measure(bench: Bench, size: str) -> None:
    bench.warm(CONTENDERS, {NAME: bench.make(WORKLOADS[size])})


def report(runs: Runs) -> Iterator[str]:
    yield tables.measured(runs, NAME, DUCKDB_PLAN.name)
    yield "Seconds per million IDs, those of the table and of the list"
    yield tables.markdown(
        ("contender", "s per million IDs"),
        ((name, _seconds_per_million_ids(runs, name)) for name in runs.contenders(NAME)),
    )


def _seconds_per_million_ids(runs: Runs, name: str) -> str:
    return tables.spread(
        (run.wall_seconds / (run.image_rows + run.list_rows) * 1e6 for run in runs.of(NAME, name)),
        digits=3,
    )
