"""Names in a Parquet schema's text: none is taken for a type, and none hides one."""

import json

import pytest

from dedup_lib.session.schema_text import with_quoted_names
from dedup_lib.tables.schema import leaves, required_columns

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
    quoted = with_quoted_names(text, root, json.dumps(paths))
    assert list(leaves(quoted)) == [
        (name, "fixed_len_byte_array", None),
        (f"group {name}.list.{name}", "int32", "INTEGER(32,false)"),
        (f"last {name}", "binary", "DECIMAL(20,2)"),
    ]
    assert required_columns(quoted) == {name, f"last {name}"}


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
        with_quoted_names(text_of(*lines), "spark_schema", '[["x"]]')
