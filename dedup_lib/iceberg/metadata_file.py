"""Read the current schema of an Iceberg table from its metadata file, with types that Spark lacks.

Source: Apache Iceberg, table specification, appendix C (JSON serialization).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib.executor.parquet_values.column_chunks import FieldColumn, LeafColumn
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.tables.columns import FileColumns

# A type as the metadata spells it: a name, or a struct, list or map.
_Type = str | Mapping[str, Any]
# Types of Iceberg that Spark 4.0 can't read. Spark refuses the whole table because of one.
_UNREAD = ("time", "timestamp_ns", "timestamptz_ns", "geometry", "geography")


def read_fields(spark: SparkSession, table: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the fields of a table's current schema; None if its metadata file can't be read.

    Args:
        spark: The session.
        table: The table's name for SQL.

    *Cost:* one small query, and a job that reads the metadata file.
    """
    try:
        log = spark.sql(f"SELECT file FROM {table}.metadata_log_entries ORDER BY timestamp")
        file = log.collect()[-1]["file"]
        text = spark.read.text(file, wholetext=True).collect()[0][0]
        metadata = json.loads(text)
        schemas = {schema["schema-id"]: schema for schema in metadata["schemas"]}
        found: Sequence[Mapping[str, Any]] = schemas[metadata["current-schema-id"]]["fields"]
    except (*SPARK_ERRORS, ValueError, LookupError):  # for example, a store that Spark can't read
        return None
    return found


def unread_columns(fields: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the names and types of columns that Spark can't read; names of nested ones in full."""
    return [
        (".".join(path), kind)
        for path, kind in _leaves(fields)
        if kind.partition("(")[0].strip() in _UNREAD
    ]


def ids_of(field: Mapping[str, Any]) -> list[int]:
    """Return the IDs of a field and of the fields below it."""
    kind = field["type"]
    if isinstance(kind, str):
        return [field["id"]]
    inner = list(kind.get("fields", ()))
    parts = [part for part in ("element", "key", "value") if part in kind]
    inner += [{"id": kind[f"{part}-id"], "type": kind[part]} for part in parts]
    return [field["id"], *(one for below in inner for one in ids_of(below))]


def _leaves(
    fields: Sequence[Mapping[str, Any]], outer: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    for field in fields:
        yield from _leaves_of(field["type"], (*outer, field["name"]))


def _leaves_of(kind: _Type, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(kind, str):
        yield path, kind
    elif kind["type"] == "struct":
        yield from _leaves(kind["fields"], path)
    else:
        for part in ("element", "key", "value"):
            if part in kind:
                yield from _leaves_of(kind[part], (*path, part))


class FieldIds(FileColumns):
    """The columns of a table by the IDs of their fields, which a change of names keeps."""

    def __init__(self, fields: Sequence[Mapping[str, Any]]) -> None:
        self._fields = fields

    def path(self, names: Sequence[str]) -> LeafColumn:
        """Return a column's names from outside to inside, with its field ID."""
        kind: Any = {"fields": self._fields}
        field_id = None
        for name in names:
            inner = kind.get("fields", ()) if isinstance(kind, dict) else ()
            field: Any = next((one for one in inner if one["name"] == name), {})
            field_id, kind = field.get("id"), field.get("type")
        return tuple(names) if field_id is None else FieldColumn(names, field_id)
