"""Random Arrow tables: any type that Parquet holds, nested and not, with or without NULLs."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tests.support.tables.random_values import random_id, random_value

# What both engines keep, and what only pyarrow does.
_COMMON = st.sampled_from(
    [
        pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
        pa.string(), pa.binary(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"),
        pa.decimal128(38, 18), pa.decimal128(9, 2), pa.large_string(), pa.large_binary(),
    ]
)  # fmt: skip
_ODD = st.sampled_from(
    [
        pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(), pa.binary(3),
        pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.timestamp("ms"),
        pa.timestamp("ms", "UTC"), pa.timestamp("ns"), pa.timestamp("ns", "UTC"),
        pa.decimal256(50, 3), pa.decimal128(18, 0),
    ]
)  # fmt: skip
_TOP_ALONE = st.sampled_from(
    [
        pa.null(), pa.duration("us"), pa.string_view(), pa.binary_view(),
        pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.int64()),
    ]
)  # fmt: skip
_NAMES = st.text("ab.` (),;\n{}é", min_size=1, max_size=4)


def _fields(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    named = st.tuples(st.sampled_from(string.ascii_lowercase), types, st.booleans())
    fields = st.lists(named, min_size=1, max_size=3, unique_by=lambda field: field[0])
    return fields.map(lambda found: pa.struct([pa.field(n, t, nullable=o) for n, t, o in found]))


def _nested(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    keys = st.sampled_from([pa.string(), pa.int32(), pa.binary()])
    items = st.tuples(types, st.booleans())
    lists = items.map(lambda item: pa.list_(pa.field("element", item[0], nullable=item[1])))
    maps = st.tuples(keys, types).map(lambda pair: pa.map_(*pair))
    return lists | types.map(pa.large_list) | maps | _fields(types)


def data_types(*, common_only: bool) -> st.SearchStrategy[pa.DataType]:
    """Types, nested up to three deep."""
    leaves = _COMMON if common_only else _COMMON | _ODD
    nested = st.recursive(leaves, _nested, max_leaves=4)
    return nested if common_only else nested | _TOP_ALONE | leaves.map(lambda t: pa.list_(t, 2))


@st.composite
def schemas(draw: Callable[..., Any], *, common_only: bool) -> pa.Schema:
    """Schemas of an ID, a row number, and up to five columns of any type."""
    id_types = [pa.string(), pa.int64(), pa.int8(), pa.decimal128(20, 0), pa.binary()]
    odd = [] if common_only else [pa.uint64(), pa.binary(16)]
    id_type = draw(st.sampled_from(id_types + odd))
    taken = {"image_id", "row"}
    names = draw(
        st.lists(
            _NAMES.filter(lambda name: name.lower() not in taken),
            max_size=5,
            unique_by=str.lower,
        )
    )
    types = data_types(common_only=common_only)
    drawn = [(name, draw(types), draw(st.booleans())) for name in names]
    fields = [pa.field(n, t, nullable=o or pa.types.is_null(t)) for n, t, o in drawn]
    own = [
        pa.field("image_id", id_type, nullable=draw(st.booleans())),
        pa.field("row", pa.int64(), nullable=False),
    ]
    return pa.schema(own + fields)


def random_table(schema: pa.Schema, rows: Sequence[int], random: Random) -> pa.Table:
    """A table of these rows, numbered; few IDs, so that some repeat."""
    columns = []
    for field in schema:
        if field.name == "row":
            values: list[Any] = list(rows)
        elif field.name == "image_id":
            values = [random_id(field.type, random, field.nullable) for _ in rows]
        else:
            values = [random_value(field.type, field.nullable, random) for _ in rows]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)
