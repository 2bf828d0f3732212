"""Choose the numbers for the log line at the end of a phase."""

from __future__ import annotations

from typing import Any

from dedup_lib.report import Report
from dedup_lib.settings import Settings

_COUNTS = {
    "plan": (
        "input_rows",
        "removed_rows",
        "null_id_rows",
        "list_rows",
        "list_matched_ids",
        "list_unmatched_ids",
    ),
    "check": ("input_rows", "removed_rows"),
    "apply": ("removed_rows",),
    "verify": ("kept_rows", "removed_rows"),
}


def numbers_of(phase: str, report: Report, settings: Settings) -> str:
    """Return a phase's numbers as `name=value`, named as in the report, without unknown numbers."""
    numbers: dict[str, Any] = {key: report.counts[key] for key in _COUNTS.get(phase, ())}
    output = report.output or {}
    if phase == "plan":
        numbers["input_bytes"] = report.bytes["input"]
    elif phase == "check":
        numbers |= _limit(report, settings)
    elif phase == "apply":
        numbers = _way(report) | numbers
    elif phase == "verify":
        numbers |= {"output_rows": output.get("num_rows"), "output_bytes": report.bytes["output"]}
    else:
        numbers |= {key: output.get(key) for key in ("location", "version")}
    return " ".join(f"{key}={value}" for key, value in numbers.items() if value is not None)


def _limit(report: Report, settings: Settings) -> dict[str, Any]:
    """Return the share of rows to remove, and its limit."""
    rows, removed = report.counts["input_rows"], report.counts["removed_rows"]
    fraction = f"{removed / rows:.4f}" if rows and removed is not None else None
    return {"removed_fraction": fraction, "max_removed_fraction": settings.max_removed_fraction}


def _way(report: Report) -> dict[str, Any]:
    """Return how the rows were removed; for engine arrow also the numbers of tasks and files."""
    tasks = report.choices.get("tasks", {})
    return {
        "method": report.method,
        "engine": report.engine,
        "strategy": report.strategy,
        "tasks": tasks.get("chosen"),
        "written_files": tasks.get("written_files"),
        "copied_files": tasks.get("copied_files"),
    }
