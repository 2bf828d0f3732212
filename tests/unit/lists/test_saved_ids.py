"""IDs as the review page saves them: read with their types, or refused with the line."""

import pytest

from dedup_lib.errors import ColumnTypeError, UnreadableFileError
from dedup_lib.lists.saved_ids import parse_ids

ODD = ["a", '"', 'a"b', "a,b", "two\nlines", "\u2028", "007", "", " ", "=1+1", "ü\U0001f600"]
# As page.js writes them.
JSON_LINES = (
    '{"id": "a"}\n{"id": "\\""}\n{"id": "a\\"b"}\n{"id": "a,b"}\n{"id": "two\\nlines"}\n'
    '{"id": "\u2028"}\n{"id": "007"}\n{"id": ""}\n{"id": " "}\n{"id": "=1+1"}\n'
    '{"id": "\\u00fc\\ud83d\\ude00"}\n'
)
CSV = (
    'id\n"a"\n""""\n"a""b"\n"a,b"\n"two\nlines"\n"\u2028"\n"007"\n""\n" "\n"=1+1"\n"ü\U0001f600"\n'
)


def parsed(text, saved_format, id_type):
    data = text if isinstance(text, bytes) else text.encode()
    return parse_ids(data, saved_format, id_type=id_type, what="list 'x'")


@pytest.mark.parametrize(("text", "saved_format"), [(JSON_LINES, "jsonl"), (CSV, "csv")])
def test_text_comes_back_as_the_page_wrote_it(text, saved_format):
    assert parsed(text, saved_format, "string") == ODD


@pytest.mark.parametrize("saved_format", ["jsonl", "csv"])
def test_large_numbers_keep_every_digit(saved_format):
    ids = [1, -7, 2**53 + 1, 2**63 - 1, -(2**63)]
    lines = [f'{{"id": {it}}}' for it in ids] if saved_format == "jsonl" else ["id", *map(str, ids)]
    assert parsed("\n".join(lines), saved_format, "bigint") == ids


@pytest.mark.parametrize("saved_format", ["jsonl", "csv"])
def test_binary_ids_are_read_as_the_page_shows_them(saved_format):
    """As hex digits, or as a UUID; decimals as numbers."""
    ids = ["", "00ff", "FE", "00112233-4455-6677-8899-aabbccddeeff"]
    texts = [f'"{it}"' for it in ids]
    lines = [f'{{"id": {it}}}' for it in texts] if saved_format == "jsonl" else ["id", *texts]
    assert parsed("\n".join(lines), saved_format, "binary") == ids
    number = "18446744073709551615"
    text = f'{{"id": {number}}}' if saved_format == "jsonl" else f"id\n{number}"
    assert parsed(text, saved_format, "decimal(20,0)") == [int(number)]


def test_what_editors_add_does_no_harm():
    """A byte order mark, other line ends, empty lines, no last line end."""
    assert parsed(b'\xef\xbb\xbfid\r\n"a"\r\n\r\n"b"', "csv", "string") == ["a", "b"]
    assert parsed(b'\xef\xbb\xbf{"id": "a"}\r\n\r\n{"id":"b"}', "jsonl", "string") == ["a", "b"]
    assert parsed('"id"\n1\n', "csv", "int") == [1]


def test_null_is_no_id():
    assert parsed('{"id": null}\n', "jsonl", "string") == [None]
    assert parsed("", "jsonl", "string") == parsed("id\n", "csv", "string") == []


@pytest.mark.parametrize(
    ("text", "saved_format", "id_type"),
    [
        ('{"id": 1}', "jsonl", "string"),
        ('{"id": "1"}', "jsonl", "bigint"),
        ('{"id": 1.0}', "jsonl", "bigint"),
        ('{"id": true}', "jsonl", "bigint"),
        ('{"id": ["a"]}', "jsonl", "string"),
        ('{"id": NaN}', "jsonl", "bigint"),
        ('{"id": 2147483648}', "jsonl", "int"),
        ('{"id": 9223372036854775808}', "jsonl", "bigint"),
        ('{"id": "\\ud800"}', "jsonl", "string"),
        ('{"id": "0"}', "jsonl", "binary"),
        ('{"id": "0g"}', "jsonl", "binary"),
        ('{"id": "00-ff"}', "jsonl", "binary"),
        ('{"id": 10}', "jsonl", "binary"),
        ('{"id": 1000}', "jsonl", "decimal(3,0)"),
        ('{"id": "1"}', "jsonl", "decimal(3,0)"),
        ('{"id": 128}', "jsonl", "tinyint"),
        ('{"id": 32768}', "jsonl", "smallint"),
        ("id\n1\n", "csv", "string"),
        ('id\n"1"\n', "csv", "bigint"),
        ("id\n2147483648\n", "csv", "int"),
    ],
)
def test_an_id_of_another_type_is_refused(text, saved_format, id_type):
    with pytest.raises(
        ColumnTypeError, match=r"^list .x.: line [12]: .* IDs are never cast"
    ) as caught:
        parsed(text, saved_format, id_type)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "saved_format", "line"),
    [
        ('{"id": "a"}\nb\n', "jsonl", 2),
        ('{"id": "a"}{"id": "b"}', "jsonl", 1),
        ('{"image_id": "a"}', "jsonl", 1),
        ('{"id": "a", "more": 1}', "jsonl", 1),
        ('"a"', "jsonl", 1),
        ("[" * 100_000, "jsonl", 1),
        ('{"id": ' + "9" * 5000 + "}", "jsonl", 1),
        ("image_id\n1\n", "csv", 1),
        ('"a"\n"b"\n', "csv", 1),
        ("id\na\n", "csv", 2),
        ("id\n007\n", "csv", 2),
        ("id\n1.0\n", "csv", 2),
        ('id\n"two\nlines"\n"a"b\n', "csv", 4),
        ('id\n"a\n', "csv", 2),
        ('id\n"a","b"\n', "csv", 2),
        ("id\n" + "9" * 5000, "csv", 2),
    ],
)
def test_a_line_that_is_no_id_is_named(text, saved_format, line):
    with pytest.raises(UnreadableFileError, match=f"^list 'x': line {line} must be") as caught:
        parsed(text, saved_format, "bigint" if "1" in text else "string")
    assert caught.value.exit_code == 3


def test_what_is_no_utf_8_is_refused():
    with pytest.raises(UnreadableFileError, match="not text in UTF-8"):
        parsed(b'{"id": "\xff"}', "jsonl", "string")
