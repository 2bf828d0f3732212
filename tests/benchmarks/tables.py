"""Tables of results, in Markdown that also reads well in a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from tests.benchmarks.results import Run, Runs, Spread

NOTES = """\
Wall seconds end with a sync of the file systems and leave out the session's start; shown are the
median and, in brackets, least and most over the rounds; ratios are taken round by round.
Memory: the most that the whole process tree held, sampled every 50 ms: resident sets added up
(shared pages count for each process), and without mapped files ("anonymous").
Bytes are those of read and write calls of the tree, cached or not; mapped files are not in them.
"from disk" is what caches did not have. Shuffled and spilled are Spark's own task metrics.
"""
NOTHING = "-"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> str:
    """Return an aligned table: columns of names to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width if n < names else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
    lines.insert(1, rule)
    return (
        "\n".join("| " + " | ".join(_aligned(line, widths, names)) + " |" for line in lines) + "\n"
    )


def _aligned(line: Sequence[str], widths: Sequence[int], names: int) -> list[str]:
    return [
        cell.ljust(width) if n < names else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def spread(values: Iterable[float], digits: int = 2) -> str:
    """Return a median, with the least and the most where there are several."""
    found = list(values)
    if not found:
        return NOTHING
    three = Spread.of(found)
    if len(found) == 1:
        return f"{three.median:.{digits}f}"
    return f"{three.median:.{digits}f} ({three.least:.{digits}f} to {three.most:.{digits}f})"


def ratios(ours: Iterable[Run], theirs: Iterable[Run]) -> list[float]:
    """Return wall seconds of runs as shares of others', round by round."""
    by_round = {run.round: run.wall_seconds for run in theirs}
    return [run.wall_seconds / by_round[run.round] for run in ours if run.round in by_round]


def measured(runs: Runs, workload: str, reference: str) -> str:
    """Return all that was measured of a workload, a row a contender."""
    header = (
        "contender", "wall s", f"x {reference}", "sync s", "CPU s", "peak MB", "anonymous MB",
        "read MB", "written MB", "from disk MB", "shuffled MB", "spilled MB",
    )  # fmt: skip
    theirs = runs.of(workload, reference)
    rows = [
        _row(name, runs.of(workload, name), ratios(runs.of(workload, name), theirs))
        for name in runs.contenders(workload)
    ]
    return markdown(header, rows)


def _row(name: str, found: Sequence[Run], relative: Sequence[float]) -> list[str]:
    def most_mb(of: Callable[[Run], float]) -> str:
        return f"{max(map(of, found)) / 1e6:,.0f}"

    return [
        name,
        spread(run.wall_seconds for run in found),
        spread(relative),
        f"{statistics.median(run.sync_seconds for run in found):.2f}",
        f"{statistics.median(run.cpu_seconds for run in found):.1f}",
        most_mb(lambda run: run.resident_bytes),
        most_mb(lambda run: run.anonymous_bytes),
        most_mb(lambda run: run.read_bytes),
        most_mb(lambda run: run.written_bytes),
        most_mb(lambda run: run.disk_read_bytes),
        _most_task_mb(found, "shuffle_bytes"),
        _most_task_mb(found, "spilled_bytes"),
    ]


def _most_task_mb(found: Sequence[Run], metric: str) -> str:
    values = [run.details["tasks"][metric] for run in found if "tasks" in run.details]
    return f"{max(values) / 1e6:,.0f}" if values else NOTHING


def failures(runs: Runs) -> str:
    """Return why some have no result; nothing where all have."""
    lines = [f"- {run.contender} ({run.workload}): {run.error}" for run in runs.all if run.error]
    return "\n".join(["Left out:", *lines]) + "\n" if lines else ""


def seconds_of_parts(run: Run) -> str:
    """Return where the seconds of one run of this job went."""
    details = run.details
    phases, steps = details["phases"], details["steps"]
    rest = run.wall_seconds - sum(phases.values()) - run.sync_seconds
    rows = [
        *((f"phase: {name}", f"{seconds:.2f}") for name, seconds in phases.items()),
        ("sync", f"{run.sync_seconds:.2f}"),
        ("outside of phases", f"{rest:.2f}"),
        ("all", f"{run.wall_seconds:.2f}"),
        *((f"of which: {name}", f"{seconds:.2f}") for name, seconds in steps.items()),
    ]
    return markdown((run.contender, "s"), rows)
