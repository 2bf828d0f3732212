"""Time this job beside its peers, in turns, on the same seeded data.

    python -m tests.benchmarks [--size small|full] [--cases A B …] [--rounds 3]

Writes build/benchmark/results.json, and results.md beside it; cases that are not asked for keep
the results they had. `--size small` tries the benchmark itself: without warm-ups, and with one
process for each kind of peer, its figures say nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks import results, tables
from tests.benchmarks.bench import Bench
from tests.benchmarks.cases import CASES
from tests.benchmarks.peer_process import Processes
from tests.benchmarks.results import Runs


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, help="default: 3; of small sizes 1")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmark"))
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    rounds = options.rounds or (3 if options.size == "full" else 1)
    processes = Processes(folder, shared=options.size == "small")
    try:
        for case in options.cases:
            bench = Bench(case, options.size, folder, processes, rounds)
            _measure(bench)
    finally:
        processes.stop()
    _write_tables(folder)


def _measure(bench: Bench) -> None:
    case = CASES[bench.case]
    print(f"\n{case.TITLE}\n", flush=True)
    try:
        case.measure(bench, bench.size)
    finally:
        bench.stop()
    print("\n" + "\n".join(_report(bench.case, Runs(bench.runs))), flush=True)


def _report(case: str, runs: Runs) -> Iterator[str]:
    yield f"## {CASES[case].TITLE}\n"
    yield from CASES[case].report(runs)
    yield tables.failures(runs)


def _write_tables(folder: Path) -> None:
    saved = results.load(folder / "results.json")
    parts = [tables.NOTES]
    for case, runs in saved.items():
        parts += _report(case, runs)
    (folder / "results.md").write_text("\n".join(parts))
    print(f"{tables.NOTES}\nSaved: {folder / 'results.json'} and results.md")


if __name__ == "__main__":
    main()
