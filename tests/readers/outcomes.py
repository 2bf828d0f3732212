"""What a reader made of a table, and what docs/readers.md says that it does."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.readers.expected import REMOVED, ROWS
from tests.support.paths import ROOT

PAGE = ROOT / "docs/readers.md"
# The outcomes by reader and column of the page.
Outcomes = dict[str, dict[str, str]]
_ALL = {name: (hashlib.sha256(image).hexdigest(), split) for name, image, split in ROWS}
_KEPT = _ALL.keys() - set(REMOVED)


def outcome_of(result: Mapping[str, Any]) -> str:
    """Say in the page's words what a reader found.

    Args:
        result: What `read.py` wrote of it.
    """
    if "error" in result:
        return "refused"
    if "count" in result:
        counts = {len(_KEPT): "right", len(_ALL): "removed rows counted"}
        return counts.get(result["count"], f"counts {result['count']} rows")
    return _outcome_of_rows(result["rows"])


def _outcome_of_rows(rows: Sequence[Sequence[str | None]]) -> str:
    times = Counter(name for name, _, _ in rows)
    if not _KEPT <= times.keys() <= _ALL.keys():
        return f"other IDs: {len(times)} in {len(rows)} rows"
    if any(_ALL[name][0] != digest for name, digest, _ in rows):
        return "other images"
    said = ["removed rows back"] if times.keys() - _KEPT else []
    if max(times.values()) > 1:
        said.append("kept rows twice")
    if all(split is None for _, _, split in rows):
        said.append("no `split`")
    elif any(_ALL[name][1] != split for name, _, split in rows):
        said.append("other `split`")
    return ", ".join(said) or "right"


def outcomes_of_page(heading: str, page: Path = PAGE) -> Outcomes:
    """Read the table of readers below a heading of docs/readers.md."""
    section = page.read_text().partition(f"\n## {heading}\n")[2]
    table = re.search(r"^\| reader \|.*\n(\|.*\n)+", section, re.MULTILINE)
    lines = [] if table is None else table[0].splitlines()
    first, _, *rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    return {name: dict(zip(first[1:], cells, strict=True)) for name, *cells in rows}


def versions_of_page(page: Path = PAGE) -> dict[str, str]:
    """Read which versions of packages docs/readers.md is about: `name 1.2.3`."""
    return dict(re.findall(r"`([a-z-]+) (\d[\w.]*)`", page.read_text()))


def as_table(outcomes: Outcomes) -> str:
    """Write outcomes as docs/readers.md has them."""
    columns = list(next(iter(outcomes.values())))
    lines = [["reader", *columns]]
    lines += [[name, *map(_spelled, row.values())] for name, row in outcomes.items()]
    first, *others = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([first, "|---" * (len(columns) + 1) + "|", *others])


def differences(found: Outcomes, page: Outcomes) -> Iterable[str]:
    """Say where what was found is not what the page says."""
    for name in dict.fromkeys([*page, *found]):
        said, seen = page.get(name, {}), found.get(name, {})
        for column in dict.fromkeys([*said, *seen]):
            if said.get(column) != seen.get(column):
                yield (
                    f"{name}, {column}: the page says {said.get(column)!r}, "
                    f"found {seen.get(column)!r}"
                )


def _spelled(outcome: str) -> str:
    return outcome if outcome in {"right", "refused"} else f"**{outcome}**"
