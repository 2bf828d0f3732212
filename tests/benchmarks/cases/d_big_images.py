"""D: large images and a small heap: every engine and strategy, each in a fresh process, once."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import Contender, this_job
from tests.benchmarks.data import Workload
from tests.benchmarks.results import Run, Runs

TITLE = __doc__
HEAP = "1200m"
# What conf/spark/cpu.conf and the README advise for images of several MB.
JAVA_OPTIONS = "-XX:G1HeapRegionSize=16m"


def _spark(strategy: str, output_format: str) -> Contender:
    name = f"spark, {strategy}, {output_format}"
    return this_job(
        name,
        heap=HEAP,
        java_options=JAVA_OPTIONS,
        engine="spark",
        strategy=strategy,
        output_format=output_format,
    )


CONTENDERS = (
    this_job("arrow, parquet", heap=HEAP, engine="arrow"),
    *(
        _spark(strategy, output_format)
        for strategy in ("broadcast-ids", "row-positions")
        for output_format in ("parquet", "delta")
    ),
)
HALF, WHOLE = "5 MB, half", "5 MB"
WORKLOADS = {
    "full": {
        HALF: Workload(1_000, 5_000_000),
        WHOLE: Workload(2_000, 5_000_000),
        "25 MB": Workload(60, 25_000_000),
        "25 MB, partitioned": Workload(60, 25_000_000, partitions=8),
        "5 MB, partitioned": Workload(2_000, 5_000_000, partitions=8),
    },
    "small": {
        WHOLE: Workload(20, 5_000_000, files=4),
        "25 MB, partitioned": Workload(6, 25_000_000, files=3, partitions=2),
    },
}


def measure(bench: Bench, size: str) -> None:
    for name, workload in WORKLOADS[size].items():
        bench.once(CONTENDERS, {name: bench.make(workload)})
        bench.discard(workload)


def report(runs: Runs) -> Iterator[str]:
    yield f"A heap of {HEAP}, {JAVA_OPTIONS}; the whole process tree"
    yield tables.markdown(
        ("workload", "contender", "ends", "wall s", "peak MB", "anonymous MB"),
        map(_row, runs.all),
        names=3,
    )
    yield "Peak memory and the number of images: twice as many of 5 MB"
    yield tables.markdown(
        ("contender", "half: MB", "whole: MB", "ratio"),
        (_growth(runs, each.name) for each in CONTENDERS if runs.of(WHOLE, each.name)),
    )


def _row(run: Run) -> list[str]:
    ends = "yes" if run.error is None else "no: see below"
    peaks = [f"{peak / 1e6:,.0f}" for peak in (run.resident_bytes, run.anonymous_bytes)]
    return [run.workload, run.contender, ends, f"{run.wall_seconds:.1f}", *peaks]


def _growth(runs: Runs, name: str) -> list[str]:
    half, whole = (
        max((run.resident_bytes for run in runs.of(workload, name)), default=0)
        for workload in (HALF, WHOLE)
    )
    ratio = f"{whole / half:.2f}" if half else tables.NOTHING
    return [name, f"{half / 1e6:,.0f}", f"{whole / 1e6:,.0f}", ratio]
