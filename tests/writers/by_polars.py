"""Random tables by Polars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa

from tests.writers.columns import Column, Kind, draw_kinds

_PLAIN = [
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
    pa.large_string(), pa.large_binary(), pa.date32(), pa.timestamp("us"),
    pa.timestamp("us", "UTC"), pa.decimal128(38, 18), pa.decimal128(9, 2),
]  # fmt: skip
_ODD: list[Kind] = [
    (pa.uint8(), None), (pa.uint16(), None), (pa.uint32(), None), (pa.uint64(), None),
    (pa.time64("ns"), None), (pa.timestamp("ms"), None), (pa.timestamp("ns"), None),
    (pa.timestamp("ns", "Europe/Berlin"), None), (pa.timestamp("ms", "UTC"), None),
    (pa.duration("us"), None), (pa.duration("ms"), None), (pa.duration("ns"), None),
    (pa.null(), None), (pa.list_(pa.float32(), 3), None), (pa.float16(), None),
    (pa.int64(), "Int128"), (pa.uint64(), "UInt128"), (pa.bool_(), "Enum"),
    (pa.int8(), "Categorical"), (pa.large_string(), "Categorical"),
]  # fmt: skip
ID_TYPES: list[Kind] = [
    (pa.large_string(), None), (pa.large_string(), None), (pa.int64(), None), (pa.int32(), None),
    (pa.uint64(), None), (pa.uint8(), None), (pa.int8(), None), (pa.large_binary(), None),
    (pa.decimal128(20, 0), None), (pa.large_string(), "Categorical"),
]  # fmt: skip


def kinds(random: Random) -> list[Kind]:
    """Types to choose from: in half of the tables only those that all engines know."""
    return draw_kinds(_PLAIN, _ODD, random)


def options(random: Random, columns: Sequence[Column]) -> dict[str, Any]:
    """About every way in which Polars writes a file."""
    codecs = ["uncompressed", "snappy", "gzip", "zstd", "lz4", "zstd"]
    return {
        "compression": "brotli" if random.random() < 0.05 else random.choice(codecs),
        "statistics": random.choice([True, False, "full", {"min": True, "null_count": False}]),
        "row_group_size": random.choice([None, 1, 3, 1000]),
        "data_page_size": random.choice([None, 1, 100, 10_000]),
        "metadata": random.choice([None, {"made by": "é"}]),
        "lazy": random.random() < 0.3,
    }


def write(table: pa.Table, columns: Sequence[Column], path: Path, chosen: dict[str, Any]) -> None:
    """Write a file, at once or as a stream."""
    chosen = dict(chosen)
    frame = _frame(table, columns)
    if chosen.pop("lazy"):
        frame.lazy().sink_parquet(path, **chosen)
    else:
        frame.write_parquet(path, **chosen)


def write_split(
    table: pa.Table, columns: Sequence[Column], folder: Path, chosen: dict[str, Any]
) -> None:
    """Write a file for each value of `part`, in directories; the files also have the column."""
    chosen = {key: value for key, value in chosen.items() if key != "lazy"}
    _frame(table, columns).write_parquet(folder, partition_by="part", **chosen)


def _frame(table: pa.Table, columns: Sequence[Column]) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns([_made(column) for column in columns if column.made_as])


def _made(column: Column) -> pl.Expr:
    given = pl.col(column.name)
    if column.made_as == "Enum":
        text = pl.when(given).then(pl.lit("cat")).when(given.not_()).then(pl.lit("dög"))
        return text.cast(pl.Enum(["dög", "cat", "never"])).alias(column.name)
    if column.made_as == "Categorical":
        return given.cast(pl.String).cast(pl.Categorical)
    return given.cast(getattr(pl, str(column.made_as)))
