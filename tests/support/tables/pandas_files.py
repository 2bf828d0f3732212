"""Parquet files as pandas 2 and 3 write them, `index=False`, made without pandas.

*Source:* files that pandas 2.3.3 and 3.0.0 wrote with pyarrow 26: a column of no strings has no
type in pandas 2 (Parquet INT32 with logical type Null), and is one of strings in pandas 3; one of
nothing but None has no type in either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.tables.made import write_parquet

VERSIONS = ("2.3.3", "3.0.0")
_UNTYPED = (pa.null(), "empty", "object")
_FLOATS = (pa.float32(), "float32", "float32")
_STRINGS = {
    "2.3.3": (pa.string(), "unicode", "object"),
    "3.0.0": (pa.large_string(), "object", "str"),
}


def write_by_pandas(path: Path, version: str, columns: Mapping[str, Sequence[Any] | None]) -> Path:
    """Write columns of strings, and `cosine_sim_score`; None is a column of no type."""
    types = {name: _type_of(name, values, version) for name, values in columns.items()}
    described = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": pandas_type,
            "numpy_type": numpy_type,
            "metadata": None,
        }
        for name, (_, pandas_type, numpy_type) in types.items()
    ]
    metadata = {
        "index_columns": [],
        "column_indexes": [],
        "columns": described,
        "attributes": {},
        "creator": {"library": "pyarrow", "version": "26.0.1"},
        "pandas_version": version,
    }
    fields = [pa.field(name, kind[0]) for name, kind in types.items()]
    schema = pa.schema(fields, {"pandas": json.dumps(metadata)})
    arrays = [
        pa.array(values or [], field.type)
        for values, field in zip(columns.values(), fields, strict=True)
    ]
    return write_parquet(pa.table(arrays, schema), path)


def _type_of(name: str, values: Sequence[Any] | None, version: str) -> tuple[Any, str, str]:
    if values is None:
        return _UNTYPED
    if name == "cosine_sim_score":
        return _FLOATS
    holds_none = all(value is None for value in values)
    return _UNTYPED if holds_none and (values or version < "3") else _STRINGS[version]
