"""The documents of duplicate finders, told by their form."""

import json

import pytest

from dedup_lib.lists.text.documents import document_of
from dedup_lib.lists.text.json_lines import describe


def image(path):
    return {"path": path, "size": 1, "width": 2, "height": 3, "hashes": [1], "difference": "x"}


DOCUMENTS = {
    "imagededup, names": (
        {"a": ["b", "d"], "b": ["a"], "d": []},
        ("id", "partner"),
        [["a", "b"], ["a", "d"], ["b", "a"], ["d", None]],
        {"partner_column": "partner"},
    ),
    "imagededup, names and scores": (
        {"a": [["b", 0], ["d", 0.5]], "b": [["a", 0]], "d": []},
        ("id", "partner", "score"),
        [["a", "b", "0"], ["a", "d", "0.5"], ["b", "a", "0"], ["d", None, None]],
        {"partner_column": "partner", "score_column": "score"},
    ),
    "imagededup, nothing alike": (
        {"a": [], "b": []},
        ("id", "partner"),
        [["a", None], ["b", None]],
        {"partner_column": "partner"},
    ),
    "imagededup, to remove": (["a", "b"], ("id",), [["a"], ["b"]], {}),
    "numbers": ([1, 2], ("id",), [["1"], ["2"]], {}),
    "czkawka": (
        [[image("a"), image("b")], [image("c"), image("d")]],
        ("id", "group"),
        [["a", "0"], ["b", "0"], ["c", "1"], ["d", "1"]],
        {"group_column": "group"},
    ),
    "czkawka, with references": (
        [[image("a"), [image("b"), image("c")]], [image("d"), [image("e")]]],
        ("id", "keeper"),
        [["a", None], ["b", "a"], ["c", "a"], ["d", None], ["e", "d"]],
        {"keeper_column": "keeper"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_told_by_its_form(name):
    value, columns, rows, told = DOCUMENTS[name]
    found = document_of(json.loads(json.dumps(value)), "file:/x/y.json")
    assert (found.columns, found.rows, found.told) == (columns, rows, told)
    assert found.are_numbers is (name == "numbers")


@pytest.mark.parametrize("by_folder", [False, True])
def test_difpys_results_are_told_by_their_name(by_folder):
    value = {"/p/a": [["/p/b", 0.0]], "/p/c": [["/p/d", 12.5]]}
    value = {"/p": value, "/q": {}} if by_folder else value
    found = document_of(value, "file:/x/difPy_20260101_results.json")
    assert found.rows == [["/p/a", "/p/b", "0.0"], ["/p/c", "/p/d", "12.5"]]
    assert found.told == {
        "partner_column": "partner", "score_column": "mse", "score_means": "distance",
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        1, "a", None, {}, ["a", 1], [True], [["a"]], [{"id": "a"}], [[]], [[image("a"), "b"]],
        {"keep": ["a", "b"], "remove": ["c"]}, {"labels": {"cat": ["a"]}}, {"id": ["a"], "n": [1]},
        {"a": "b"}, {"a": ["b", 1]}, {"a": [["b"]]}, {"a": [["b", "c"]]}, {"a": [["b", True]]},
        {"a": [["b", 1], "c"]}, {"a": ["b"], "c": 1}, [[image("a"), [image("b"), {}]]],
    ],
    ids=repr,
)  # fmt: skip
def test_another_document_is_not_guessed(value):
    assert document_of(value, "file:/x/y.json") is None


@pytest.mark.parametrize(
    ("found", "id_type", "of", "holds"),
    [
        ({"STRING", "VOID"}, "string", "string", {"string"}),
        ({"ID"}, "int", "int", {"int", "double"}),
        ({"ID"}, "decimal(20,0)", "decimal(20,0)", {"decimal(20,0)", "double"}),
        ({"ID"}, "binary", "binary", {"binary", "string"}),
        ({"BIGINT"}, "string", "bigint", {"double"}),
        ({"ID", "DECIMAL(1,0)"}, "bigint", "double", {"double"}),
        ({"ID", "STRING"}, "binary", "string", set()),
        ({"STRING", "BIGINT"}, "string", "string", set()),
        ({"VOID"}, "bigint", "void", {"string", "double", "bigint"}),
        ({"ARRAY<STRING>", "ARRAY<VOID>"}, "string", "array<string>", set()),
        ({"OBJECT<a: BIGINT>"}, "string", "string", set()),
    ],
)
def test_g2_a_value_of_json_has_its_type(found, id_type, of, holds):
    assert describe(found, id_type) == (of, frozenset(holds))
