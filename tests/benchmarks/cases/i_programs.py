"""I: keepers of many pairs, and `make demo`: programs of their own, from start to end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.cases.g_submit import BEFORE
from tests.benchmarks.programs import timed
from tests.benchmarks.results import Run, Runs
from tests.support.paths import ROOT

TITLE = __doc__
KEEPERS = [sys.executable, "-m", "tests.benchmarks.survivor_check"]
PROGRAMS = {
    "full": {"follow keepers, 20 M pairs": KEEPERS, "make demo": ["make", "demo"]},
    "small": {"follow keepers, 1,000 pairs": [*KEEPERS, "--pairs", "1000"]},
}
CHECKOUTS = {"this job": ROOT} | ({} if BEFORE is None else {"before": Path(BEFORE).absolute()})


def measure(bench: Bench, size: str) -> None:
    folder = bench.folder / "keepers"
    for number in range(bench.rounds):
        for name, command in PROGRAMS[size].items():
            given = [*command, "--folder", str(folder)] if command[0] == sys.executable else command
            for contender, checkout in CHECKOUTS.items():
                bench.note(timed(Run(bench.case, name, contender, number), given, cwd=checkout))


def report(runs: Runs) -> Iterator[str]:
    for workload in dict.fromkeys(run.workload for run in runs.all):
        reference = runs.of(workload, "this job")
        yield f"{workload}: the whole process, without a sync"
        yield tables.markdown(
            ("contender", "s", "x this job"),
            (
                [
                    name,
                    tables.spread(run.wall_seconds for run in found),
                    tables.spread(tables.ratios(found, reference)),
                ]
                for name in runs.contenders(workload)
                if (found := runs.of(workload, name))
            ),
        )
