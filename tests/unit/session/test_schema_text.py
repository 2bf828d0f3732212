"""Names in the text of a Parquet schema: none is taken for a type, and none hides one."""

import json

import pytest

from dedup_lib.session.hadoop_footers import parse_schema
from dedup_lib.session.storage import Leaf
from dedup_lib.tables.schema import required_columns

NAMES = ["x (STRING)", "a\n  optional int32 b;", "}", "Size (KB)", 'say "so" = 3', "\\"]


def text_of(*lines: str, root: str = "spark_schema") -> str:
    return "\n".join([f"message {root} {{", *lines, "}", ""])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("root", ["schema", "a {\n b"])
def test_g3_a_name_is_not_taken_for_a_type(name, root):
    text = text_of(
        f"  required fixed_len_byte_array(16) {name};",
        f"  optional group group {name} (LIST) = 7 {{",
        "    repeated group list {",
        f"      required int32 {name} (INTEGER(32,false)) = 8;",
        "    }",
        "  }",
        f"  required binary last {name} (DECIMAL(20,2));",
        root=root,
    )
    paths = [[name], [f"group {name}", "list", name], [f"last {name}"]]
    schema = parse_schema(text, root, json.dumps(paths))
    assert schema.leaves == (
        Leaf((name,), "required", "fixed_len_byte_array", None),
        Leaf((f"group {name}", "list", name), "required", "int32", "INTEGER(32,false)"),
        Leaf((f"last {name}",), "required", "binary", "DECIMAL(20,2)"),
    )
    assert required_columns(schema) == {name, f"last {name}"}


@pytest.mark.parametrize(
    "lines",
    [
        ("  optional int32 other;",),
        ("  optional int32 x SURPRISE;",),
        ("  optional int32 x;", "  optional int32 y;"),
        ("  optional group x {", "  }"),
    ],
)
def test_a_text_that_is_not_understood_is_an_error(lines):
    with pytest.raises(ValueError, match=r"no |unexpected "):
        parse_schema(text_of(*lines), "spark_schema", '[["x"]]')


def test_schemas_are_the_same_whatever_their_root_is_called_and_differ_by_groups():
    """Spark reads a group called LIST as an array, and one without a type as a struct."""
    lines = "  optional group x (LIST) {", "    repeated int32 y;", "  }"
    paths = '[["x", "y"]]'
    one = parse_schema(text_of(*lines), "spark_schema", paths)
    assert parse_schema(text_of(*lines, root="schema"), "schema", paths) == one
    without_type = parse_schema(text_of("  optional group x {", *lines[1:]), "spark_schema", paths)
    assert without_type.leaves == one.leaves
    assert without_type != one
