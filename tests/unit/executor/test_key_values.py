"""The index that pandas notes in a file, and other notes that a reader may find there."""

import json

import pytest

from dedup_lib.executor.key_values import fit_to_rows

COLUMN = "name_of_a_column"


def numbered(stop: object, **other: object) -> dict[str, object]:
    return {"kind": "range", "name": None, "start": 0, "stop": stop, "step": 1} | other


@pytest.mark.parametrize(
    ("index", "fitted"),
    [
        ([numbered(9)], [numbered(3)]),
        ([numbered(0)], [numbered(3)]),
        ([numbered(3)], [numbered(3)]),
        ([numbered(13, start=10)], [numbered(13, start=10)]),
        ([numbered(19, start=10)], []),
        ([numbered(18, step=2)], []),
        ([numbered("9")], [numbered(3)]),
        ([numbered(9, step=0)], []),
        ([numbered(2**70)], [numbered(3)]),
        ([COLUMN], [COLUMN]),
        ([COLUMN, numbered(9)], [COLUMN, numbered(3)]),
        ([], []),
        (None, None),
    ],
)
def test_only_an_index_that_does_not_fit_is_changed(index, fitted):
    note = {"index_columns": index, "columns": ["é"]}
    found = fit_to_rows({b"pandas": json.dumps(note).encode(), b"other": b"\xff"}, 3)
    assert json.loads(found[b"pandas"]) == note | {"index_columns": fitted}
    assert found[b"other"] == b"\xff"


@pytest.mark.parametrize("text", [b"", b"no JSON", b"[1]", b'{"index_columns": 5}', b"\xff"])
def test_a_note_of_another_kind_stays(text):
    assert fit_to_rows({b"pandas": text}, 3) == {b"pandas": text}
    assert fit_to_rows({b"ARROW:schema": text}, 3) == {b"ARROW:schema": text}
