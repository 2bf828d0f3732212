"""Tell people in a few lines what a run did, and what they should look at."""

from __future__ import annotations

from collections.abc import Iterator

from dedup_lib.report import Report
from dedup_lib.settings import Settings

# What an action does with rows that no list names, and with those that one names.
_DONE = {
    "remove": ("kept", "removed"),
    "annotate": ("unmarked", "marked as duplicates"),
    "extract": ("left out", "extracted"),
}


def summary_of(report: Report, settings: Settings) -> str:
    """Return a summary of a run that succeeded: a line for each fact, without an end of line."""
    return "\n".join([_title(report), *_rows(report, settings), *_look_at(report, settings)])


def _title(report: Report) -> str:
    what = "dry run: no image was written" if report.status == "dry_run" else "done"
    if report.repeated:
        what += ", as this run was done before"
    elif report.since_last_run is not None and not any(report.since_last_run.values()):
        what += ": nothing was new"
    return f"{what} ({report.total_seconds:,.1f} s)"


def _rows(report: Report, settings: Settings) -> Iterator[str]:
    rows, kept, gone = (_count(report, f"{name}_rows") for name in ("input", "kept", "removed"))
    if rows is not None and gone is not None:
        of_kept, of_gone = _DONE[settings.action]
        kept = rows - gone if kept is None else kept
        share = f" ({gone / rows:.1%})" if rows else ""
        yield f"{rows:,} rows = {kept:,} {of_kept} + {gone:,} {of_gone}{share}"
    output = report.output
    if output is not None and report.status == "succeeded":
        version, written = output.get("version"), report.bytes["output"]
        of_version = "" if version is None else f", version {version}"
        size = "" if written is None else f", {written / 1e6:,.1f} MB written"
        yield f"output: {output['location']}{of_version}{size}"


def _count(report: Report, name: str) -> int | None:
    """Return a count; those of a repeated run come from its manifest, which others can write."""
    value = report.counts.get(name)
    return value if isinstance(value, int) else None


def _look_at(report: Report, settings: Settings) -> Iterator[str]:
    unmatched, nulls = _count(report, "list_unmatched_ids"), _count(report, "null_id_rows")
    if unmatched:
        yield f"look at: {unmatched:,} listed IDs are not in the table"
    if nulls:
        yield f"look at: {nulls:,} rows have no ID (NULL), so no list can name them"
    keepers = report.keepers or {}
    if lost := keepers.get("lost_ids"):
        spared = keepers["spared_ids"]
        yield f"look at: {lost:,} listed images have no survivor; {spared:,} of them stay"
    for hint in report.match_hints or ():
        yield f"look at: {hint['text']}"
    review = report.review or {}
    if review.get("reason"):
        yield f"look at: the review is missing or incomplete: {review['reason']}"
    named = {"review": review.get("location"), "report": settings.report}
    if not report.repeated:
        named = {**settings.record_locations, **named}
    for name, location in named.items():
        if location is not None:
            yield f"{name.replace('_', ' ')}: {location}"
