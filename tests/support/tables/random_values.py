"""Random values of any Arrow type, nested and not, with or without NULLs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Context, Decimal
from random import Random
from typing import Any

import pyarrow as pa

_CONTEXT = Context(prec=80)


def random_id(kind: pa.DataType, random: Random, nullable: bool = False) -> Any:
    """An ID of few; None now and then, where it may be."""
    if nullable and random.random() < 0.2:
        return None
    number = random.randrange(9)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return number
    text = f"id \0{number}".ljust(16)
    return text if pa.types.is_string(kind) else text.encode()


def random_value(kind: pa.DataType, nullable: bool, random: Random) -> Any:
    if pa.types.is_null(kind) or (nullable and random.random() < 0.25):
        return None
    return next(make(kind, random) for is_kind, make in _MAKERS if is_kind(kind))


def _struct(kind: pa.DataType, random: Random) -> dict[str, Any]:
    return {field.name: random_value(field.type, field.nullable, random) for field in kind}


def _map(kind: pa.DataType, random: Random) -> list[tuple[Any, Any]]:
    keys = {random_value(kind.key_type, False, random) for _ in range(random.randrange(3))}
    return [(key, random_value(kind.item_type, True, random)) for key in sorted(keys)]


def _fixed_size_list(kind: pa.DataType, random: Random) -> list[Any]:
    return [random_value(kind.value_type, True, random) for _ in range(kind.list_size)]


def _list(kind: pa.DataType, random: Random) -> list[Any]:
    field = kind.value_field
    return [random_value(field.type, field.nullable, random) for _ in range(random.randrange(4))]


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


_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FLOATS = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1.5]
_BINARIES = {pa.binary(), pa.large_binary(), pa.binary_view()}
# The first that fits makes the value.
_MAKERS: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, Random], Any]]] = [
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
    (pa.types.is_fixed_size_list, _fixed_size_list),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_list_view, _list),
    (pa.types.is_dictionary, lambda kind, random: random_value(kind.value_type, False, random)),
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
