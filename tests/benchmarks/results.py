"""What was measured: one `Run` each time, kept in one JSON file over several calls."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

UNAVAILABLE = "not available: "
PACKAGES = ("pyspark", "delta-spark", "duckdb", "polars", "pyarrow", "numpy")


@dataclass(frozen=True)
class Run:
    """One timed run.

    Attributes:
        case: Letter of the case.
        workload: Its name within the case.
        contender: Who did it.
        round: From 0 on; -1 is the warm-up.
        cold: Whether the process was fresh, and this its first run.
        start_seconds: What the process had taken to start, before.
        wall_seconds: From the request to the end of the sync of the file systems.
        sync_seconds: The part of them that the sync took.
        cpu_seconds: Of the whole process tree.
        resident_bytes: The most that the process tree held, as `metering` says.
        anonymous_bytes: The same without mapped files.
        read_bytes: Of read calls.
        written_bytes: Of write calls.
        disk_read_bytes: From the disk.
        disk_written_bytes: To the disk.
        input_bytes: What the image table weighs in files.
        files: Files of the image table.
        image_rows: Rows of the image table.
        list_rows: Entries of the removal list.
        details: What the peer said of it.
        error: Why there is no result, or None.
    """

    case: str
    workload: str
    contender: str
    round: int
    cold: bool = False
    start_seconds: float = 0.0
    wall_seconds: float = 0.0
    sync_seconds: float = 0.0
    cpu_seconds: float = 0.0
    resident_bytes: int = 0
    anonymous_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    disk_read_bytes: int = 0
    disk_written_bytes: int = 0
    input_bytes: int = 0
    files: int = 0
    image_rows: int = 0
    list_rows: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def is_unavailable(self) -> bool:
        """Whether the contender said that it can't do such work at all."""
        return self.error is not None and self.error.startswith(UNAVAILABLE)


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some numbers."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])


class Runs:
    """Runs of one case that count: neither warm-ups nor failures."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.all = runs

    def of(self, workload: str, contender: str, *, cold: bool = False) -> list[Run]:
        """Return a contender's runs on a workload, by round."""
        found = (
            run
            for run in self.all
            if (run.workload, run.contender, run.cold) == (workload, contender, cold)
            and run.round >= 0
            and run.error is None
        )
        return sorted(found, key=lambda run: run.round)

    def contenders(self, workload: str) -> list[str]:
        """Return those that have runs on a workload, in the order they came."""
        names = dict.fromkeys(run.contender for run in self.all if run.workload == workload)
        return [name for name in names if self.of(workload, name)]


def save(path: Path, case: str, size: str, runs: Sequence[Run]) -> None:
    """Put a case's runs in place of those that the file had of it."""
    cases = json.loads(path.read_text())["cases"] if path.exists() else {}
    cases[case] = {"size": size, "runs": [asdict(run) for run in runs]}
    everything = {
        "machine": machine(),
        "versions": versions(),
        "cases": dict(sorted(cases.items())),
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(everything, indent=1) + "\n")
    partial.replace(path)


def load(path: Path) -> dict[str, Runs]:
    """Read the runs of all cases that were saved."""
    cases = json.loads(path.read_text())["cases"]
    return {case: Runs([Run(**run) for run in found["runs"]]) for case, found in cases.items()}


def machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


def versions() -> dict[str, str | None]:
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
