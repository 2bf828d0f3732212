"""F: growth: one to four times the bytes, and one to sixteen times the list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import COPY, DUCKDB, SPARK, this_job
from tests.benchmarks.data import Workload
from tests.benchmarks.results import Runs, Spread

TITLE = __doc__
CONTENDERS = (
    this_job("rewrite, arrow", engine="arrow", session="job"),
    this_job("rewrite, spark", engine="spark"),
    this_job("clone", method="clone", makes="clone", session="job"),
    this_job("plan", makes="plan", session="job"),
    DUCKDB,
    COPY,
    SPARK,
)
BYTES, ENTRIES = (1, 2, 4), (1, 4, 16)
ROWS = {"full": 15_000, "small": 600}
LISTED = {"full": 2_500_000, "small": 25_000}


def measure(bench: Bench, size: str) -> None:
    tables_made = {
        of_bytes(times): bench.make(Workload(ROWS[size] * times, 50_000)) for times in BYTES
    }
    bench.warm(CONTENDERS, tables_made)
    rows, listed = ROWS[size] * max(BYTES), LISTED[size]
    lists_made = {
        of_entries(times): bench.make(Workload(rows, 50_000, list_entries=listed * times))
        for times in ENTRIES
    }
    bench.warm(CONTENDERS, lists_made)


def report(runs: Runs) -> Iterator[str]:
    yield "Seconds by the bytes of the image table"
    yield _curves(runs, [of_bytes(times) for times in BYTES])
    yield f"Seconds by the length of the list, {max(BYTES)}x bytes"
    yield _curves(runs, [of_entries(times) for times in ENTRIES])


def of_bytes(times: int) -> str:
    """Return the name of the workload with so many times the bytes."""
    return f"{times}x bytes"


def of_entries(times: int) -> str:
    """Return the name of the workload with so many times the list."""
    return f"{times}x list"


def _curves(runs: Runs, workloads: Sequence[str]) -> str:
    header = ("contender", *(f"{name}: s" for name in workloads), "last / first")
    return tables.markdown(
        header, (_row(runs, name, workloads) for name in _names(runs, workloads))
    )


def _names(runs: Runs, workloads: Sequence[str]) -> list[str]:
    return [each.name for each in CONTENDERS if all(runs.of(w, each.name) for w in workloads)]


def _row(runs: Runs, name: str, workloads: Sequence[str]) -> list[str]:
    found = [[run.wall_seconds for run in runs.of(workload, name)] for workload in workloads]
    growth = Spread.of(found[-1]).median / Spread.of(found[0]).median
    return [name, *map(tables.spread, found), f"{growth:.2f}"]
