"""docs/readers.md: `make test-readers` compares it with what other programs read."""

import hashlib
import re
import sys

import pytest

from tests.readers import __main__ as command
from tests.readers.__main__ import HEADINGS
from tests.readers.expected import REMOVED, ROWS
from tests.readers.outcomes import (
    as_table,
    differences,
    outcome_of,
    outcomes_of_page,
    versions_of_page,
)
from tests.readers.read import READERS
from tests.support.paths import ROOT

ALL = [[name, hashlib.sha256(image).hexdigest(), split] for name, image, split in ROWS]
KEPT = [row for row in ALL if row[0] not in REMOVED]


def test_the_page_has_each_reader_and_each_table_once():
    tables = [outcomes_of_page(heading) for heading in HEADINGS]
    assert sorted(name for table in tables for name in table) == sorted(READERS)
    for table, columns in zip(tables, HEADINGS.values(), strict=True):
        assert all(list(row) == list(columns) for row in table.values())


def test_the_versions_on_the_page_are_those_that_are_locked():
    """After `make lock`, run `make test-readers`: then the page may have the new ones."""
    locked: dict[str, str] = {}
    for lock in ("requirements.lock", "tests/readers/requirements.lock"):
        locked |= re.findall(r"^(\S+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    said = versions_of_page()
    assert len(said) >= 12
    assert said == {name: locked.get(name) for name in said}


@pytest.mark.parametrize("heading", HEADINGS)
def test_what_is_found_is_printed_as_the_page_has_it(heading, tmp_path):
    page = outcomes_of_page(heading)
    copy = tmp_path / "page.md"
    copy.write_text(f"\n## {heading}\n\n{as_table(page)}\n")
    assert outcomes_of_page(heading, copy) == page


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"rows": KEPT}, "right"),
        ({"rows": KEPT[::-1]}, "right"),
        ({"rows": ALL}, "removed rows back"),
        ({"rows": [*KEPT, ALL[0]]}, "removed rows back"),
        ({"rows": [*KEPT, *ALL]}, "removed rows back, kept rows twice"),
        ({"rows": KEPT[1:]}, "other IDs: 149 in 149 rows"),
        ({"rows": [[None, None, None]] * 150}, "other IDs: 1 in 150 rows"),
        ({"rows": [[name, KEPT[0][1], split] for name, _, split in KEPT]}, "other images"),
        ({"rows": [[name, digest, None] for name, digest, _ in KEPT]}, "no `split`"),
        ({"rows": [[name, digest, "train"] for name, digest, _ in KEPT]}, "other `split`"),
        ({"count": 150}, "right"),
        ({"count": 200}, "removed rows counted"),
        ({"count": 0}, "counts 0 rows"),
        ({"error": "ValueError: no"}, "refused"),
    ],
)
def test_what_a_reader_gives_has_one_name(result, outcome):
    assert outcome_of(result) == outcome


SCRIPT = """
import json, os, sys, time
from pathlib import Path
for table in map(Path, sys.argv[3:]):
    if table.name == "crash":
        os.abort()
    if table.name == "hang":
        time.sleep(600)
    Path(sys.argv[2], f"{table.name}.json").write_text(json.dumps({"error": "no"}))
"""


def test_a_reader_that_crashes_or_hangs_goes_on_with_the_next_table(tmp_path, monkeypatch):
    (tmp_path / "read.py").write_text(SCRIPT)
    monkeypatch.setattr(command, "HERE", tmp_path)
    monkeypatch.setattr(command, "PATIENCE_SECONDS", 3)
    tables = ["a", "crash", "b", "hang", "c"]
    found = command.read(sys.executable, "some reader", tables, tmp_path)
    assert [found[name] for name in tables] == ["refused", "no answer"] * 2 + ["refused"]


def test_a_result_that_is_not_on_the_page_is_told():
    page = {"a": {"clone": "right"}, "b": {"clone": "refused"}}
    assert list(differences(page, page)) == []
    (told,) = differences({"a": {"clone": "right"}, "b": {"clone": "right"}}, page)
    assert told == "b, clone: the page says 'refused', found 'right'"
