"""Random tables by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

from tests.writers.columns import Column, Kind, draw_kinds

_PLAIN = [
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
    pa.string(), pa.binary(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"),
    pa.decimal128(38, 18), pa.decimal128(9, 2), pa.decimal128(4, 1),
]  # fmt: skip
# `{c}` is the column.
_ODD: list[Kind] = [
    (pa.uint8(), None), (pa.uint16(), None), (pa.uint32(), None), (pa.uint64(), None),
    (pa.time64("us"), None), (pa.timestamp("ms"), None), (pa.timestamp("ns"), None),
    (pa.timestamp("s"), None), (pa.list_(pa.float32(), 3), None), (pa.null(), None),
    (pa.int64(), "{c}::HUGEINT"), (pa.int64(), "md5({c}::VARCHAR)::UUID"),
    (pa.int32(), "to_seconds(abs({c}::BIGINT))"),
    (pa.int8(), "(abs({c}::INT) * 1000 || ' months')::INTERVAL"),
    (pa.bool_(), "CASE {c} WHEN true THEN 'cat' WHEN false THEN 'dög' END::ENUM('dög', 'cat')"),
    (pa.time64("us"), "{c}::TIMETZ"), (pa.int32(), "{c}::BIT"), (pa.int32(), "to_json([{c}])"),
    (pa.int32(), "{c}::VARIANT"),
    (pa.int16(), "('POINT (' || {c} || ' 1)')::GEOMETRY"),
    (pa.int64(), "{c}::BIGNUM"), (pa.string(), "union_value(t := {c})"),
    (pa.uint64(), "{c}::UHUGEINT"),
]  # fmt: skip
ID_TYPES: list[Kind] = [
    (pa.string(), None), (pa.string(), None), (pa.int64(), None), (pa.int32(), None),
    (pa.int16(), None), (pa.uint64(), None), (pa.uint32(), None), (pa.binary(), None),
    (pa.decimal128(20, 0), None), (pa.decimal128(18, 0), None),
    (pa.int64(), "md5({c}::VARCHAR)::UUID"),
    (pa.int64(), "hash({c})"), (pa.int64(), "(hash({c}) % 4294967296)::UINTEGER"),
]  # fmt: skip


def kinds(random: Random) -> list[Kind]:
    """Types to choose from: in half of the tables only those that all engines know."""
    return draw_kinds(_PLAIN, _ODD, random)


def options(random: Random, columns: Sequence[Column]) -> dict[str, Any]:
    """About every way in which DuckDB writes a file."""
    codecs = ["uncompressed", "snappy", "gzip", "zstd", "lz4_raw", "zstd"]
    chosen: dict[str, Any] = {
        "COMPRESSION": "brotli" if random.random() < 0.05 else random.choice(codecs),
        "PARQUET_VERSION": random.choice(["v1", "v2"]),
        "ROW_GROUP_SIZE": random.choice([1, 2_048, 122_880]),
    }
    if random.random() < 0.3:
        chosen["DICTIONARY_SIZE_LIMIT"] = random.choice([0, 1, 100])
    if random.random() < 0.2:
        chosen["WRITE_BLOOM_FILTER"] = random.choice([True, False])
    if random.random() < 0.2:
        chosen["KV_METADATA"] = "{'made by': 'é'}"
    if random.random() < 0.2:
        chosen["FIELD_IDS"] = "'auto'"
    return chosen


def write(table: pa.Table, columns: Sequence[Column], path: Path, chosen: dict[str, Any]) -> None:
    """Write a file."""
    _copy(table, columns, path, chosen)


def write_split(
    table: pa.Table, columns: Sequence[Column], folder: Path, chosen: dict[str, Any]
) -> None:
    """Write a file for each value of `part`, in directories."""
    keeps = Random(repr(columns)).random() < 0.5  # in all files of a table
    split = f", PARTITION_BY (part), OVERWRITE, WRITE_PARTITION_COLUMNS {keeps}"
    _copy(table, columns, folder, chosen, split)


def _copy(
    table: pa.Table, columns: Sequence[Column], path: Path, chosen: dict[str, Any], split: str = ""
) -> None:
    made_as = {column.name: column.made_as for column in columns if column.made_as}
    names = [_quoted(name) for name in table.column_names]
    made = [
        f"{made_as[name].format(c=quoted)} AS {quoted}" if name in made_as else quoted
        for name, quoted in zip(table.column_names, names, strict=True)
    ]
    given = "".join(f", {key} {value}" for key, value in chosen.items())
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        query = f"SELECT {', '.join(made)} FROM given"
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{given}{split})")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
