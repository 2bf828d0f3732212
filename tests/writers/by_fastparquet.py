"""Random tables by fastparquet, from frames of pandas."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import fastparquet
import pandas as pd
import pyarrow as pa

from tests.writers.columns import Column, Kind

# "object" is what pandas makes of it by itself.
_KINDS: list[Kind] = [
    (pa.bool_(), "boolean"), (pa.int8(), "Int8"), (pa.int16(), "Int16"), (pa.int32(), "Int32"),
    (pa.int64(), "Int64"), (pa.float32(), None), (pa.float64(), None), (pa.string(), None),
    (pa.string(), "object"), (pa.binary(), None), (pa.timestamp("us"), None),
    (pa.timestamp("us", "UTC"), None), (pa.timestamp("ns"), None), (pa.timestamp("ms"), None),
    (pa.timestamp("ns", "UTC"), None), (pa.timestamp("us", "Europe/Berlin"), None),
    (pa.duration("ns"), None), (pa.duration("us"), None),
    (pa.string(), "category"), (pa.int64(), "category"), (pa.uint8(), "UInt8"),
    (pa.uint16(), "UInt16"), (pa.uint32(), "UInt32"), (pa.uint64(), "UInt64"),
    (pa.list_(pa.int64()), "json"), (pa.date32(), "date"), (pa.float16(), None),
]  # fmt: skip
PLAIN_KINDS = 14
ID_TYPES: list[Kind] = [
    (pa.string(), None), (pa.string(), "object"), (pa.int64(), "Int64"), (pa.int32(), "Int32"),
    (pa.uint64(), "UInt64"), (pa.binary(), None), (pa.string(), "category"),
]  # fmt: skip


def kinds(random: Random) -> list[Kind]:
    """Types to choose from: in half of the tables only those that all engines know."""
    return _KINDS[:PLAIN_KINDS] if random.random() < 0.5 else _KINDS


def options(random: Random, columns: Sequence[Column]) -> dict[str, Any]:
    """About every way in which fastparquet writes a file."""
    codecs = [None, "SNAPPY", "GZIP", "ZSTD", "LZ4_RAW"]
    of_table = Random(repr(columns))  # what would make different columns of the same ones
    return {
        "compression": "BROTLI" if random.random() < 0.05 else random.choice(codecs),
        # fastparquet 2026.9.0 may crash where row groups have one row.
        "row_group_offsets": random.choice([4, 9, 1000]),
        "has_nulls": True,
        "times": "int96" if of_table.random() < 0.15 else "int64",
        "stats": random.choice([True, False, "auto", ["row"]]),
        "write_index": of_table.random() < 0.3 and any(one.made_as for one in columns),
        "custom_metadata": random.choice([None, {"made by": "é"}]),
    }


def write(table: pa.Table, columns: Sequence[Column], path: Path, chosen: dict[str, Any]) -> None:
    """Write a file; a second part is appended, where there are rows for it."""
    _write(table, columns, path, chosen)


def write_split(
    table: pa.Table, columns: Sequence[Column], folder: Path, chosen: dict[str, Any]
) -> None:
    """Write a file for each value of `part`, in directories, and fastparquet's `_metadata`."""
    chosen = chosen | {"row_group_offsets": 1_000_000, "write_index": False}
    # fastparquet leaves rows out where the value is NULL.
    place = table.column_names.index("part")
    filled = table.set_column(place, "part", table["part"].fill_null("none"))
    _write(filled, columns, folder, chosen, file_scheme="hive", partition_on=["part"])


def _write(
    table: pa.Table, columns: Sequence[Column], path: Path, chosen: dict[str, Any], **more: Any
) -> None:
    made_as = {column.name: column.made_as for column in columns}
    frame = pd.DataFrame(
        {name: _series(table[name], made_as.get(name)) for name in table.column_names}
    )
    kinds = {name: _encoding(table[name].type, made_as.get(name)) for name in table.column_names}
    encodings = {name: kind for name, kind in kinds.items() if kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fastparquet.write(str(path), frame, object_encoding=encodings, **(chosen | more))


def _series(values: pa.ChunkedArray, made_as: str | None) -> pd.Series[Any]:
    if made_as == "date":
        return values.cast(pa.timestamp("s")).to_pandas()
    if made_as in {"json", "object"}:
        return pd.Series(values.to_pylist(), dtype=object)
    if made_as == "category":
        kind = "Int64" if pa.types.is_integer(values.type) else object
        return pd.Series(values.to_pylist(), dtype=kind).astype("category")
    if made_as is None and pa.types.is_integer(values.type):
        made_as = f"Int{values.type.bit_width}"
    if made_as is None and pa.types.is_boolean(values.type):
        made_as = "boolean"
    if made_as is not None:
        return pd.Series(values.to_pylist(), dtype=made_as)
    if pa.types.is_binary(values.type):
        return pd.Series(values.to_pylist(), dtype=object)
    return values.to_pandas()


def _encoding(kind: pa.DataType, made_as: str | None) -> str | None:
    if made_as == "json":
        return "json"
    if pa.types.is_binary(kind):
        return "bytes"
    return "utf8" if pa.types.is_string(kind) else None
