"""Random tables by pyarrow: about all that Parquet can hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.writers.columns import Column, Kind, nested

PLAIN = [
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
    pa.string(), pa.binary(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"),
    pa.decimal128(38, 18), pa.decimal128(9, 2), pa.decimal128(18, 4),
]  # fmt: skip
_ODD = [
    pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(), pa.binary(3), pa.date64(),
    pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"),
    pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("ms", "UTC"), pa.timestamp("ns"),
    pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("us", "+05:30"),
    pa.decimal32(7, 2), pa.decimal64(15, 3), pa.decimal256(50, 3), pa.decimal128(18, 0),
    pa.decimal128(5, 5), pa.large_string(), pa.large_binary(),
]  # fmt: skip
_TOP_ALONE = [
    pa.null(), pa.duration("s"), pa.duration("ms"), pa.duration("us"), pa.duration("ns"),
    pa.string_view(), pa.binary_view(), pa.uuid(), pa.json_(), pa.bool8(),
    pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.int64()),
    pa.dictionary(pa.int16(), pa.binary()), pa.list_(pa.float32(), 3), pa.list_(pa.string(), 2),
    pa.large_list(pa.string()),
    pa.struct([pa.field("only", pa.list_(pa.struct([("a", pa.int8())])))]),
    pa.list_view(pa.int32()), pa.fixed_shape_tensor(pa.float32(), [2, 2]),
    pa.list_(pa.dictionary(pa.int32(), pa.string())), pa.list_(pa.null()),
    pa.map_(pa.string(), pa.null()),
]  # fmt: skip
ID_TYPES: list[Kind] = [
    (kind, None)
    for kind in (
        pa.string(), pa.string(), pa.large_string(), pa.int64(), pa.int64(), pa.int32(), pa.int16(),
        pa.int8(), pa.uint8(), pa.uint32(), pa.uint64(), pa.binary(), pa.binary(16), pa.uuid(),
        pa.decimal128(20, 0), pa.decimal128(9, 0), pa.dictionary(pa.int32(), pa.string()),
        pa.string_view(),
    )
]  # fmt: skip


def kinds(random: Random) -> list[Kind]:
    """Types to choose from: in half of the tables only those that all engines know."""
    if random.random() < 0.5:
        return [(kind, None) for kind in PLAIN + [nested(PLAIN, random) for _ in range(5)]]
    leaves = PLAIN + _ODD
    deep = [nested(leaves, random) for _ in range(20)]
    return [(kind, None) for kind in leaves + _TOP_ALONE + deep]


def options(random: Random, columns: Sequence[Column]) -> dict[str, Any]:
    """About every way in which pyarrow writes a file."""
    dictionary = random.choice([True, False])
    chosen: dict[str, Any] = {
        "compression": random.choice(["none", "snappy", "gzip", "zstd", "lz4", "zstd"]),
        "row_group_size": random.choice([1, 3, 7, 1000]),
        # Smaller than a list, in a row group of one row, pyarrow 26.0.1 writes what it can't read.
        "data_page_size": random.choice([None, 4_000, 10_000]),
        "max_rows_per_page": random.choice([None, 1, 5]),
        "data_page_version": random.choice(["1.0", "2.0"]),
        "version": Random(repr(columns)).choice(["1.0", "2.4", "2.6", "2.6"]),  # as all its files
        "use_dictionary": dictionary,
        "dictionary_pagesize_limit": random.choice([None, 10, 1000]),
        "write_statistics": random.choice([True, False, ["image_id"]]),
        "write_page_index": random.choice([True, False]),
        "write_page_checksum": random.choice([True, False]),
        "store_schema": random.choice([True, True, False]),
        "store_decimal_as_integer": random.choice([True, False]),
        "use_compliant_nested_type": Random(repr(columns)).random() < 0.7,  # as all of its files
    }
    if random.random() < 0.05:
        chosen["compression"] = "brotli"
    if Random(repr(columns)).random() < 0.1:  # for all files of a table
        chosen["use_deprecated_int96_timestamps"] = True
    if random.random() < 0.2:
        chosen["bloom_filter_options"] = {"image_id": {"ndv": 100}}
    if random.random() < 0.1:
        chosen["use_content_defined_chunking"] = True
    if random.random() < 0.2:
        chosen["sorting_columns"] = [pq.SortingColumn(0)]
    if not dictionary and random.random() < 0.7:
        chosen["column_encoding"] = _encodings(random, columns)
    return chosen


def _encodings(random: Random, columns: Sequence[Column]) -> dict[str, str]:
    found = {"row": random.choice(["PLAIN", "DELTA_BINARY_PACKED"])}
    split = "BYTE_STREAM_SPLIT" if Random(repr(columns)).random() < 0.3 else "PLAIN"
    for column in (*columns, Column("image", pa.binary(), nullable=True)):
        kind = column.type
        if kind in {pa.string(), pa.binary(), pa.large_string()}:
            choices = ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
        elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
            choices = ["PLAIN", "DELTA_BINARY_PACKED", split]
        elif pa.types.is_floating(kind) or pa.types.is_fixed_size_binary(kind):
            choices = ["PLAIN", split]
        else:
            continue
        found[column.name] = random.choice(choices)
    return found


def write(table: pa.Table, _: Sequence[Column], path: Path, chosen: dict[str, Any]) -> None:
    """Write a file."""
    pq.write_table(table, path, **chosen)


def write_split(table: pa.Table, _: Sequence[Column], folder: Path, chosen: dict[str, Any]) -> None:
    """Write a file for each value of `part`, in directories."""
    chosen = dict(chosen)
    size = chosen.pop("row_group_size")
    # The data set's own writer lacks what only a file's writer has.
    chosen.pop("sorting_columns", None)
    pq.write_to_dataset(
        table,
        folder,
        partition_cols=["part"],
        max_rows_per_group=max(size, 2),
        min_rows_per_group=0,
        max_rows_per_file=0,
        **chosen,
    )
