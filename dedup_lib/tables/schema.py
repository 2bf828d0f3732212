"""The schema of a Parquet file, by its text: leaves, what is required, what may be an ID.

Names in the text are spelled as JSON (`schema_text`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType

_NAME = r'(?P<name>"(?:[^"\\]|\\.)*")'
_LEAF = re.compile(
    r"(?P<repetition>required|optional|repeated) (?P<physical>\w+)(?:\(\d+\))? "
    rf"{_NAME}(?: \((?P<logical>[A-Z_0-9]+(?:\([^()]*\))?)\))?(?: = -?\d+)?;"
)
_GROUP = re.compile(rf"(?:required|optional|repeated) group {_NAME} .*\{{")
_ID_TYPES = {
    ("binary", "STRING"): StringType(),
    ("binary", "UTF8"): StringType(),
    ("int32", None): IntegerType(),
    ("int32", "INTEGER(32,true)"): IntegerType(),
    ("int64", None): LongType(),
    ("int64", "INTEGER(64,true)"): LongType(),
}


def required_columns(schema: str) -> set[str]:
    """Return the top-level columns that are `required` in a Parquet schema's text."""
    top_level = (line[2:] for line in schema.splitlines() if re.match(r" {2}\S", line))
    leaves = [leaf for line in top_level if (leaf := _LEAF.fullmatch(line))]
    return {json.loads(leaf["name"]) for leaf in leaves if leaf["repetition"] == "required"}


def id_columns(schema: str) -> StructType:
    """Return the top-level columns that may hold IDs, as Spark reads them.

    Left out are names that differ only by case, which Spark can't tell apart, and those with a
    variable of Hadoop's, which Spark would read as another name.
    """
    leaf_paths = list(paths(schema))
    names = Counter(name.lower() for name in {path[0] for path, _, _ in leaf_paths})
    return StructType(
        [
            StructField(path[0], _ID_TYPES[physical, logical])
            for path, physical, logical in leaf_paths
            if len(path) == 1
            and (physical, logical) in _ID_TYPES
            and names[path[0].lower()] == 1
            and "${" not in path[0]
        ]
    )


def hadoop_variable(schema: StructType) -> str | None:
    """Return what Hadoop takes for a variable in a schema, in names and comments; None if nothing.

    Spark's Parquet hands schemas on as a setting of Hadoop's, which puts values in their place.
    """
    found = re.search(r"\$\{[^}\"]*\}?", schema.json())
    return None if found is None else found.group()


def column_names(schema: str) -> set[str]:
    """Return the names of the top-level columns."""
    return {path[0] for path, _, _ in paths(schema)}


def leaf_types(schema: str) -> dict[str, str]:
    """Return the type of each leaf column, by dotted path."""
    return {path: logical or physical for path, physical, logical in leaves(schema)}


def leaves(schema: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield dotted path, physical and logical type of each leaf of a Parquet schema's text."""
    for path, physical, logical in paths(schema):
        yield ".".join(path), physical, logical


def paths(schema: str) -> Iterator[tuple[list[str], str, str | None]]:
    """Yield path, physical and logical type of each leaf of a Parquet schema's text."""
    path: list[str] = []
    for line in schema.splitlines()[1:]:
        text = line.strip()
        if group := _GROUP.fullmatch(text):
            path.append(json.loads(group["name"]))
        elif leaf := _LEAF.fullmatch(text):
            yield [*path, json.loads(leaf["name"])], leaf["physical"], leaf["logical"]
        elif text == "}" and path:
            path.pop()
