"""Lines of text: what is wrong is named by its line, and what is right passes."""

import pytest

from dedup_lib.lists.text.lines import BadLineError, check_lines, csv_rows

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


def check(form, text, id_type):
    data = text if isinstance(text, bytes) else text.encode()
    check_lines(form, data.split(b"\n"), {"id": id_type})


def test_text_comes_back_as_the_page_wrote_it():
    header, *rows = [row for _, row in csv_rows(CSV.encode().split(b"\n"))]
    assert (header, rows) == (["id"], [[value] for value in ODD])
    check("csv", CSV, "string")
    check("jsonl", JSON_LINES, "string")


@pytest.mark.parametrize(
    ("form", "text", "id_type"),
    [
        ("csv", b'\xef\xbb\xbfid\r\n"a"\r\n\r\n"b"', "string"),
        ("csv", "id,n\r\n \r\na,1\r\n", "string"),
        ("csv", "id\n9223372036854775807\n-9223372036854775808\n0\n\n", "bigint"),
        ("csv", "id\n18446744073709551615\n", "decimal(20,0)"),
        ("csv", "", "string"),
        ("jsonl", b'\xef\xbb\xbf{"id": "a"}\r\n\r\n{"id":"b", "n": {"m": 1}}', "string"),
        ("jsonl", '{"id": null}\n{}\n{"id": 2147483647}', "int"),
        ("txt", b"\xef\xbb\xbf1\r\n\n2", "int"),
        ("csv", "id\n-128\n127\n", "tinyint"),
        ("jsonl", '{"id": 18446744073709551615}', "decimal(20,0)"),
        ("csv", "id\n00FF\n6ba7b810-9dad-11d1-80b4-00c04fd430c8\n", "binary"),
        ("jsonl", '{"id": "00ff"}', "binary"),
    ],
)
def test_what_editors_and_programs_add_does_no_harm(form, text, id_type):
    """A byte order mark, other line ends, empty lines, no last line end."""
    check(form, text, id_type)


@pytest.mark.parametrize(
    ("form", "text", "id_type"),
    [
        *(("jsonl", f'\n{{"id": {value}}}', "string") for value in ("1", "true", '["a"]')),
        *(("jsonl", f'\n{{"id": {value}}}', "bigint") for value in ('"1"', "1.0", "true", "1e3")),
        ("jsonl", '\n{"id": 2147483648}', "int"),
        ("jsonl", '\n{"id": 9223372036854775808}', "bigint"),
        *(("csv", f"id\n{value}\n", "bigint") for value in ("007", "7.0", " 7", "+7", "-0", "x")),
        ("csv", "id\n2147483648\n", "int"),
        ("csv", "id\n128\n", "tinyint"),
        ("csv", f"id\n1{'0' * 20}\n", "decimal(20,0)"),
        *(("csv", f"id\n{value}\n", "binary") for value in ("0", "0x00", "g0", "00-ff")),
        ("jsonl", '\n{"id": 10}', "binary"),
        ("txt", "1\n02\n", "bigint"),
    ],
)
def test_g2_an_id_of_another_type_is_named_with_its_line(form, text, id_type):
    with pytest.raises(BadLineError) as caught:
        check(form, text, id_type)
    assert caught.value.is_type
    assert caught.value.reason.startswith("line 2: ")
    assert f"is not {id_type}, but the image IDs are" in caught.value.reason


@pytest.mark.parametrize(
    ("form", "text", "line"),
    [
        ("jsonl", '{"id": "a"}\nb\n', 2),
        ("jsonl", '{"id": "a"}{"id": "b"}', 1),
        ("jsonl", '{"id": "a", "id": "b"}', 1),
        ("jsonl", '"a"', 1),
        ("jsonl", "[" * 100_000, 1),
        ("jsonl", '{"id": ' + "9" * 5000 + "}", 1),
        ("jsonl", '{"id": NaN}', 1),
        ("jsonl", '{"id": "\\ud800"}', 1),
        ("jsonl", b'{"id": "a"}\n{"id": "\xff"}', 2),
        ("csv", 'id\n"two\nlines"\n"a"b\n', 4),
        ("csv", 'id\nb\n"a\n', 3),
        ("csv", 'id\n"a","b"\n', 2),
        ("csv", "id,n\na,1\n\nb\n", 4),
        ("csv", 'id\n"' + "a\n" * 100_000, 2),
        ("csv", b"id\na\nb\xff\n", 3),
        ("txt", b"a\n\xff\n", 2),
    ],
)
def test_a_line_that_can_not_be_read_is_named(form, text, line):
    with pytest.raises(BadLineError) as caught:
        check(form, text, "string")
    assert not caught.value.is_type
    assert caught.value.reason.startswith(f"line {line} ")


def test_a_score_is_a_number():
    scores = ["1", "-0.5", ".5", "1e-3", "NaN", ""]
    check_lines(
        "csv", [b"id,score", *(f"a,{score}".encode() for score in scores)], {"score": "double"}
    )
    for score in (b"x", b"0.5d", b" 1", b"0x1", b"1,5"):
        with pytest.raises(BadLineError, match=r"line 2(: | has 3 values)"):
            check_lines("csv", [b"id,score", b"a," + score], {"score": "double"})
