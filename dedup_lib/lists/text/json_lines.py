"""Read JSON Lines by Spark's own reader. Each value has the type that JSON gives it."""

from __future__ import annotations

import re

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from dedup_lib.errors import UnreadableFileError
from dedup_lib.lists.shape import DEFAULT_ID_COLUMN
from dedup_lib.lists.text.files import TextFiles
from dedup_lib.lists.text.lines import BYTES, range_of
from dedup_lib.lists.text.rows import TextRows
from dedup_lib.session.conf import FILE_READER_OPTIONS
from dedup_lib.session.sql_names import quoted

_OPTIONS = FILE_READER_OPTIONS | {"mode": "FAILFAST", "allowSingleQuotes": "false"}
# Doubles are read as their text: they hold some 16 digits, and a longer number may name a group.
_DDL = {"void": "string", "binary": "string", "double": "string"}
_MOST_KEYS = 1000
# Lines that Spark reads, but that may be wrong: more than one object, or half of a character (a
# lone surrogate).
_SUSPECT = r"\}.*\}|\}\s*[^\s}]|\\u[dD][89a-fA-F]"


def read_json_lines(files: TextFiles) -> TextRows:
    """Read JSON Lines. Their columns have the types that their values have.

    Raises:
        UnreadableFileError: A line is not a JSON object in UTF-8, or there are too many keys.

    *Nulls:* a key that is missing is NULL.
    *Cost:* two passes; one more over each file, line by line, if something may be wrong.
    """
    for file in files.files:
        files.head(file)
    value = F.col("value")
    keys = F.from_json(value, "map<string,variant>")
    parsed = files.texts.where(value.rlike(r"\S")).select(
        keys.alias("keys"),
        (keys.isNull() | F.try_parse_json(value).isNull() | ~F.is_valid_utf8(value)).alias("bad"),
        value.rlike(_SUSPECT).alias("suspect"),
    )
    num_rows, is_bad, is_suspect = parsed.agg(
        F.count(F.lit(1)), F.count_if("bad") > 0, F.count_if("suspect") > 0
    ).collect()[0]
    if is_bad or is_suspect:
        files.find({})
    if is_bad:
        raise UnreadableFileError(f"{files.wanted.what} has lines that are not JSON objects.")
    types, holds = _types(parsed, files)
    ddl = ", ".join(f"{quoted(name)} {_DDL.get(of, of)}" for name, of in types.items())
    frame = files.session.spark.read.schema(ddl).options(**_OPTIONS).json(files.paths)
    return TextRows(frame, types, holds, num_rows, files.paths[0], find=files.find)


def _types(parsed: DataFrame, files: TextFiles) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """Find the types of the values of each key."""
    id_type = files.wanted.data_type.simpleString()
    number = F.try_variant_get(F.col("value"), "$", "decimal(38,0)")
    text = F.try_variant_get(F.col("value"), "$", "string")
    found = (
        parsed.select(F.explode("keys"))
        .groupBy("key", F.schema_of_variant("value").alias("type"))
        .agg(
            F.min(number).alias("least"),
            F.max(number).alias("most"),
            F.count_if(~text.rlike(rf"^({BYTES})\z")).alias("no_bytes"),
        )
        .limit(_MOST_KEYS + 1)
        .collect()
    )
    if not found:
        return {DEFAULT_ID_COLUMN: id_type}, {DEFAULT_ID_COLUMN: frozenset({id_type})}
    if len(found) > _MOST_KEYS:
        raise UnreadableFileError(
            f"{files.wanted.what} has more than {_MOST_KEYS} keys: it has not one image in each "
            "line. If it is one JSON document, name it .json."
        )
    of_key: dict[str, set[str]] = {}
    for row in sorted(found, key=lambda row: row["key"]):
        of_key.setdefault(row["key"], set()).add("ID" if _fits(row, id_type) else row["type"])
    if len({key.lower() for key in of_key}) < len(of_key):
        raise UnreadableFileError(
            f"{files.wanted.what} has keys that differ only in upper and lower case "
            f"({', '.join(of_key)}): give each its own name."
        )
    described = {key: describe(found, id_type) for key, found in of_key.items()}
    return {key: of for key, (of, _) in described.items()}, {
        key: holds for key, (_, holds) in described.items()
    }


def _fits(found: Row, id_type: str) -> bool:
    """Tell whether all values of one type are IDs that are not text."""
    if id_type == "binary":
        return (found["type"], found["no_bytes"]) == ("STRING", 0)
    # Larger numbers than a bigint are decimals, and so is 7.0: DECIMAL(1,0).
    is_whole = re.fullmatch(r"BIGINT|DECIMAL\((19|[23]\d),0\)", found["type"]) is not None
    if id_type == "string" or not is_whole:
        return False
    values = range_of(id_type)
    return int(found["least"]) in values and int(found["most"]) in values


def describe(found: set[str], id_type: str) -> tuple[str, frozenset[str]]:
    """Return the Spark type for the values of a key, and all types that they can be taken for.

    Args:
        found: Their types, as Spark names those of a variant; `ID` for those that all are IDs.
        id_type: The type of the image IDs.
    """
    real = {re.sub(r"\(.*\)", "", of) for of in found} - {"VOID"}
    if len(real) > 1:
        real -= {"ARRAY<VOID>"}
    if not real:
        return "void", frozenset({"string", "double", id_type})
    if real == {"ID"}:
        return id_type, frozenset({id_type, "string" if id_type == "binary" else "double"})
    if real == {"BIGINT"}:
        return "bigint", frozenset({"double"})
    if real <= {"ID", "BIGINT", "DECIMAL", "DOUBLE", "FLOAT"} and id_type != "binary":
        return "double", frozenset({"double"})
    if real == {"STRING"}:
        return "string", frozenset({"string"})
    is_simple = real < {"BOOLEAN", "ARRAY<STRING>", "ARRAY<BIGINT>"} and len(real) == 1
    return (next(iter(real)).lower() if is_simple else "string"), frozenset()
