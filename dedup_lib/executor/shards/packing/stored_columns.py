"""The columns of a table whose files may have other names and types, or lack columns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.stores import FileRefusedError

_ID_IN_LOG, _NAME_IN_LOG = "delta.columnMapping.id", "delta.columnMapping.physicalName"
# Spark may fill such texts up with blanks when it reads them.
_CHAR = re.compile(r"\bchar\(")
INSTEAD = "Write the table with --output-format parquet, and then that table as shards"


class StoredSchema(NamedTuple):
    """The schema of a table, which decides what is read from each of its files.

    Attributes:
        text: Spark's JSON of the schema. With column mapping, each field tells its name in the
            files.
        by_id: Whether columns are found by their field IDs, not by their names.
        partition_columns: The columns that are not in the files.
    """

    text: str
    by_id: bool
    partition_columns: Sequence[str]


class StoredColumn(NamedTuple):
    """A column or field of the table.

    Attributes:
        name: Its name in the table.
        stored_name: Its name in the files.
        stored_id: Its ID in the files; None if names decide.
        type: Its type in the table, as Arrow has it.
        parts: The fields of a struct, the elements of a list, or keys and values of a map.
        has_default: Whether it may have a value in rows that were there before it.
    """

    name: str
    stored_name: str
    stored_id: bytes | None
    type: Any
    parts: Sequence[StoredColumn] = ()
    has_default: bool = False


def columns_of(schema: StoredSchema) -> list[StoredColumn]:
    """Return the columns of a table.

    Raises:
        FileRefusedError: Python can't read a type as Spark does.
    """
    return _fields(json.loads(schema.text), by_id=schema.by_id)


def arrow_schema(columns: Sequence[StoredColumn]) -> Any:
    """Return the Arrow schema of columns, by their names in the table."""
    import pyarrow as pa

    return pa.schema([(column.name, column.type) for column in columns])


def _fields(struct: Any, *, by_id: bool) -> list[StoredColumn]:
    return [
        _column(field["name"], field["type"], field["metadata"], by_id=by_id)
        for field in struct["fields"]
    ]


def _column(name: str, of: Any, metadata: Mapping[str, Any], *, by_id: bool) -> StoredColumn:
    import pyarrow as pa

    kind = of if isinstance(of, str) else of["type"]
    parts: list[StoredColumn] = []
    declared = str(metadata.get("__CHAR_VARCHAR_TYPE_STRING", kind))
    if kind == "struct":
        parts = _fields(of, by_id=by_id)
        arrow = pa.struct([(part.name, part.type) for part in parts])
    elif kind == "array":
        parts = [_column("element", of["elementType"], {}, by_id=by_id)]
        arrow = pa.list_(parts[0].type)
    elif kind == "map":
        parts = [_column(part, of[f"{part}Type"], {}, by_id=by_id) for part in ("key", "value")]
        arrow = pa.map_(parts[0].type, parts[1].type)
    else:
        arrow = _arrow_type(kind)
    if arrow is None or _CHAR.search(declared):
        raise FileRefusedError(
            "types",
            f"column {name!r} has the type {declared}, which only Spark surely reads as Spark "
            f"does. {INSTEAD}",
        )
    return StoredColumn(
        name,
        str(metadata.get(_NAME_IN_LOG, name)),
        str(metadata[_ID_IN_LOG]).encode() if by_id and _ID_IN_LOG in metadata else None,
        arrow,
        parts,
        has_default="EXISTS_DEFAULT" in metadata,
    )


def _arrow_type(kind: str) -> Any:
    """Return the Arrow type of one of Spark's types without parts; None for other types."""
    import pyarrow as pa

    if kind.startswith("decimal("):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if kind.startswith(("varchar(", "string collate ")):
        return pa.string()
    types = {
        "string": pa.string(),
        "binary": pa.binary(),
        "boolean": pa.bool_(),
        "byte": pa.int8(),
        "short": pa.int16(),
        "integer": pa.int32(),
        "long": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", "UTC"),
        "timestamp_ntz": pa.timestamp("us"),
        "void": pa.null(),
    }
    return types.get(kind)


def scalar_of(text: str | None, of: Any) -> Any:
    """Return the value of a partition column from its text, as `StoredFile` takes it."""
    import pyarrow as pa

    if text is None or pa.types.is_string(of):
        return pa.scalar(text, of)
    if pa.types.is_binary(of):
        return pa.scalar(bytes.fromhex(text), of)
    if pa.types.is_timestamp(of) and of.tz is not None:
        return pa.scalar(int(text), of)
    return pa.scalar(text).cast(of)
