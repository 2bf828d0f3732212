"""A: rewrite a Parquet table, 30 % removed: the fixed cost, and the cost of each GB."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import (
    COPY,
    CURATOR,
    DUCKDB,
    JOB_ARROW,
    JOB_SPARK,
    POLARS,
    PYARROW_SET,
    SPARK,
    SPARK_BROADCAST,
)
from tests.benchmarks.data import Workload
from tests.benchmarks.results import Run, Runs

TITLE = __doc__
CONTENDERS = (
    JOB_ARROW, JOB_SPARK, DUCKDB, POLARS, PYARROW_SET, CURATOR, COPY, SPARK,
    SPARK_BROADCAST,
)  # fmt: skip
NOTHING, ONCE, FOUR_TIMES = "near-zero data", "1x", "4x"
ROWS = {"full": 15_000, "small": 1_500}
# The slopes that must be reached are named beside these.
REFERENCES = (DUCKDB.name, COPY.name, SPARK.name)


def measure(bench: Bench, size: str) -> None:
    rows = ROWS[size]
    nothing = {NOTHING: bench.make(Workload(240, 1_000))}
    some = {
        ONCE: bench.make(Workload(rows, 50_000)),
        FOUR_TIMES: bench.make(Workload(4 * rows, 50_000)),
    }
    bench.cold(CONTENDERS, nothing)
    bench.warm_up(CONTENDERS, nothing[NOTHING], times=4)
    bench.warm(CONTENDERS, nothing | some)


def report(runs: Runs) -> Iterator[str]:
    yield "Fixed cost: near-zero data, in a fresh process and in one that is warm"
    yield tables.markdown(
        ("contender", "process start s", "first run s", "warm run s"),
        (_fixed_cost(runs, name) for name in runs.contenders(NOTHING)),
    )
    for contender in (JOB_ARROW.name, JOB_SPARK.name):
        if found := runs.of(NOTHING, contender):
            yield tables.seconds_of_parts(sorted(found, key=_wall)[len(found) // 2])
    for workload in (ONCE, FOUR_TIMES):
        yield f"{workload}: {_gigabytes(runs, workload):.2f} GB"
        yield tables.measured(runs, workload, DUCKDB.name)
    yield from _parts_of_curator(runs)
    yield f"Slope between {ONCE} and {FOUR_TIMES}: seconds per GB of input"
    yield tables.markdown(
        ("contender", "s per GB", *(f"x {name}" for name in REFERENCES)),
        (_slope_row(runs, name) for name in runs.contenders(FOUR_TIMES)),
    )


def slopes(runs: Runs, contender: str) -> dict[int, float]:
    """Return seconds per GB of input, by round."""
    once = {run.round: run for run in runs.of(ONCE, contender)}
    return {
        run.round: (run.wall_seconds - once[run.round].wall_seconds)
        / (run.input_bytes - once[run.round].input_bytes)
        * 1e9
        for run in runs.of(FOUR_TIMES, contender)
        if run.round in once
    }


def _parts_of_curator(runs: Runs) -> Iterator[str]:
    if found := runs.of(FOUR_TIMES, CURATOR.name):
        parts = sorted(found, key=_wall)[len(found) // 2].details["parts"]
        said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
        yield f"""{CURATOR.name}, {FOUR_TIMES}: {said}.
Its class as it is, nothing stubbed, in one process: Ray and its executor are not started, and
images are neither decoded nor encoded anew.
"""


def _fixed_cost(runs: Runs, name: str) -> list[str]:
    cold, warm = runs.of(NOTHING, name, cold=True), runs.of(NOTHING, name)
    return [
        name,
        tables.spread(run.start_seconds for run in cold),
        tables.spread(run.wall_seconds for run in cold),
        tables.spread(run.wall_seconds for run in warm),
    ]


def _slope_row(runs: Runs, name: str) -> list[str]:
    ours = slopes(runs, name)
    relative = [_shares(ours, slopes(runs, reference)) for reference in REFERENCES]
    return [name, tables.spread(ours.values()), *map(tables.spread, relative)]


def _shares(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    return [ours[number] / theirs[number] for number in ours if number in theirs]


def _gigabytes(runs: Runs, workload: str) -> float:
    return max((run.input_bytes for run in runs.all if run.workload == workload), default=0) / 1e9


def _wall(run: Run) -> float:
    return run.wall_seconds
