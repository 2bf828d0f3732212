"""Random Arrow tables: any type that Parquet holds, nested and not, with or without NULLs."""

from __future__ import annotations

import datetime as dt
import string
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_CONTEXT = Context(prec=80)
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
            values = [_value(field.type, field.nullable, random) for _ in rows]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def random_id(kind: pa.DataType, random: Random, nullable: bool = False) -> Any:
    """An ID of few; None now and then, where it may be."""
    if nullable and random.random() < 0.2:
        return None
    number = random.randrange(9)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return number
    text = f"id \0{number}".ljust(16)
    return text if pa.types.is_string(kind) else text.encode()


def _value(kind: pa.DataType, nullable: bool, random: Random) -> Any:
    if pa.types.is_null(kind) or (nullable and random.random() < 0.25):
        return None
    return next(make(kind, random) for is_kind, make in _MAKERS if is_kind(kind))


def _struct(kind: pa.DataType, random: Random) -> dict[str, Any]:
    return {field.name: _value(field.type, field.nullable, random) for field in kind}


def _map(kind: pa.DataType, random: Random) -> list[tuple[Any, Any]]:
    keys = {_value(kind.key_type, False, random) for _ in range(random.randrange(3))}
    return [(key, _value(kind.item_type, True, random)) for key in sorted(keys)]


def _fixed_size_list(kind: pa.DataType, random: Random) -> list[Any]:
    return [_value(kind.value_type, True, random) for _ in range(kind.list_size)]


def _list(kind: pa.DataType, random: Random) -> list[Any]:
    field = kind.value_field
    return [_value(field.type, field.nullable, random) for _ in range(random.randrange(4))]


def _integer(kind: pa.DataType, random: Random) -> int:
    bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return random.choice([least, most, 0, random.randint(least, most)])


def _decimal(kind: pa.DataType, random: Random) -> Decimal:
    digits = random.randrange(10 ** random.randrange(1, kind.precision + 1))
    return Decimal(random.choice([digits, -digits])).scaleb(-kind.scale, _CONTEXT)


def _moment(kind: pa.DataType, random: Random) -> int:
    """Between the years 1780 and 2255, which nanoseconds can hold."""
    per_second = _PER_SECOND[kind.unit]
    seconds = random.choice([0, 1_700_000_000, random.randint(-6_000_000_000, 9_000_000_000)])
    return seconds * per_second + random.randrange(per_second)


def _bytes(_: pa.DataType, random: Random) -> bytes:
    return random.randbytes(random.choice([0, 1, 20, 300]))


def _text(_: pa.DataType, random: Random) -> str:
    return "".join(random.choices("aé\0\n 0\u202e😀", k=random.choice([0, 1, 20])))


_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_FLOATS = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1.5]
_BINARIES = {pa.binary(), pa.large_binary(), pa.binary_view()}
# The first that fits makes the value.
_MAKERS: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, Random], Any]]] = [
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
    (pa.types.is_fixed_size_list, _fixed_size_list),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_dictionary, lambda kind, random: _value(kind.value_type, False, random)),
    (pa.types.is_boolean, lambda _, random: random.random() < 0.5),
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, lambda _, random: random.choice(_FLOATS)),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_date, lambda _, random: dt.date.fromordinal(random.randint(1, _LAST_DAY))),
    (pa.types.is_time, lambda kind, random: random.randrange(86_400 * _PER_SECOND[kind.unit])),
    (pa.types.is_timestamp, _moment),
    (pa.types.is_duration, _moment),
    (pa.types.is_fixed_size_binary, lambda kind, random: random.randbytes(kind.byte_width)),
    (lambda kind: kind in _BINARIES, _bytes),
    (lambda _: True, _text),
]
_LAST_DAY = dt.date.max.toordinal()
