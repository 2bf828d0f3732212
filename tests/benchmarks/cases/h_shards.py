"""H: shards: seconds for each GB and what a run costs besides, at 30 % and at 1 % removed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import COPY, CURATOR_SHARDS, JOB_SHARDS, WEBDATASET
from tests.benchmarks.results import Run, Runs
from tests.benchmarks.shards import Shards

TITLE = __doc__
CONTENDERS = (JOB_SHARDS, COPY, WEBDATASET, CURATOR_SHARDS)
# 1.06 and 6.0 GB.
SAMPLES, IMAGE_BYTES = 1_000, 50_000
SHARDS = {"full": (20, 113), "small": (2, 6)}
FRACTIONS = (0.3, 0.01)
ENDS = ("small", "large")


def measure(bench: Bench, size: str) -> None:
    made = {
        name_of(fraction, end): bench.make_shards(workload(fraction, count))
        for fraction in FRACTIONS
        for end, count in zip(ENDS, SHARDS[size], strict=True)
    }
    bench.warm_up([JOB_SHARDS], made[name_of(FRACTIONS[0], "small")], times=2)
    bench.warm(CONTENDERS, made)


def workload(fraction: float, count: int) -> Shards:
    """So many shards, and a list that removes a share of their samples."""
    return Shards(SAMPLES * count, IMAGE_BYTES, files=count, removed_fraction=fraction)


def name_of(fraction: float, end: str) -> str:
    """Return the name of a workload."""
    return f"{fraction:.0%} removed, {end}"


def report(runs: Runs) -> Iterator[str]:
    for fraction in FRACTIONS:
        names = [name_of(fraction, end) for end in ENDS]
        sizes = [found[0].input_bytes / 1e9 for name in names if (found := _any_of(runs, name))]
        between = " and ".join(f"{size:.2f}" for size in sizes)
        yield f"{fraction:.0%} removed, between {between} GB of shards"
        yield tables.markdown(
            ("contender", "s for each GB", "fixed s", f"x {COPY.name}", f"x {CURATOR_SHARDS.name}"),
            _rows(runs, *names),
        )


def _any_of(runs: Runs, workload: str) -> list[Run]:
    return [run for run in runs.all if run.workload == workload]


def _rows(runs: Runs, small: str, large: str) -> Iterator[list[str]]:
    lines = {
        name: _lines(runs.of(small, name), runs.of(large, name)) for name in runs.contenders(large)
    }
    for name, found in lines.items():
        yield [
            name,
            tables.spread(slope for slope, _ in found.values()),
            tables.spread(fixed for _, fixed in found.values()),
            *(_ratio(found, lines.get(peer.name, {})) for peer in (COPY, CURATOR_SHARDS)),
        ]


def _lines(small: list[Run], large: list[Run]) -> dict[int, tuple[float, float]]:
    """Return seconds for each GB of input, and fixed seconds, by the round."""
    found = {}
    by_round = {run.round: run for run in small}
    for run in large:
        if (other := by_round.get(run.round)) is not None:
            size, more = other.input_bytes / 1e9, (run.input_bytes - other.input_bytes) / 1e9
            slope = (run.wall_seconds - other.wall_seconds) / more
            found[run.round] = (slope, other.wall_seconds - slope * size)
    return found


def _ratio(ours: dict[int, tuple[float, float]], theirs: dict[int, tuple[float, float]]) -> str:
    """Return the slope as a share of another's, round by round."""
    return tables.spread(ours[n][0] / theirs[n][0] for n in ours if n in theirs and theirs[n][0])
