"""What the columns of a random table hold, whoever writes it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa

from tests.support.tables.random_values import random_value

# A type of Arrow's, and what the writer makes of it: a name that only the writer knows.
Kind = tuple[pa.DataType, str | None]
_ODD_NAMES = (
    "a b",
    "é",
    "a.b",
    "x,y",
    "`q`",
    "Ä=1",
    "a(b)",
    "${user.home}",
    "image_ID2",
    "_c",
    "a\nb",
)
_TEXTS = ("id-{}", "https://x.example/a b/{}.jpg?q=%20", "é{}😀", "{:032x}", "{}")


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, whether it has NULLs, and what the writer makes of it."""

    name: str
    type: pa.DataType
    nullable: bool
    made_as: str | None = None


def draw_columns(kinds: Sequence[Kind], random: Random) -> list[Column]:
    """Some columns of some of these types."""
    count = random.choice([0, 1, 3, 5, 8])
    drawn = [random.choice(kinds) for _ in range(count)]
    odd = random.sample(_ODD_NAMES, len(_ODD_NAMES))
    names = [odd.pop() if random.random() < 0.05 else f"c{n}" for n in range(count)]
    return [
        Column(name, kind, made_as is not None or random.random() < 0.7, made_as)
        for name, (kind, made_as) in zip(names, drawn, strict=True)
    ]


def draw_kinds(plain: list[pa.DataType], odd: list[Kind], random: Random) -> list[Kind]:
    """Types and nested types: in half of the draws only plain ones."""
    if random.random() < 0.5:
        return [(kind, None) for kind in plain + [nested(plain, random) for _ in range(5)]]
    leaves = plain + [kind for kind, made_as in odd if made_as is None]
    kinds: list[Kind] = [(kind, None) for kind in plain]
    return kinds + odd + [(nested(leaves, random), None) for _ in range(10)]


def nested(leaves: Sequence[pa.DataType], random: Random) -> pa.DataType:
    """A list, a struct or a map of some of these types; perhaps of such ones."""
    inner = random.choice(leaves) if random.random() < 0.6 else nested(leaves, random)
    other = random.choice(leaves)
    fields = [
        pa.field("x", inner),
        pa.field("y", other, random.random() < 0.5 or pa.types.is_null(other)),
    ]
    keys = [pa.string(), pa.int32(), pa.int64(), pa.date32()]
    return random.choice(
        [
            pa.list_(inner),
            pa.struct(fields),
            pa.struct(fields[:1]),
            pa.map_(random.choice(keys), inner),
        ]
    )


def values_of(column: Column, num_rows: int, random: Random) -> pa.Array:
    """So many random values; sometimes all the same, or all NULL."""
    kind, storage = column.type, column.type
    if isinstance(kind, pa.BaseExtensionType):
        storage = kind.storage_type
    few = [random_value(storage, column.nullable, random) for _ in range(random.choice([1, 3]))]
    is_few = random.random() < 0.3
    values = [
        random.choice(few) if is_few else random_value(storage, column.nullable, random)
        for _ in range(num_rows)
    ]
    if column.nullable and random.random() < 0.1:
        values = [None] * num_rows
    array = pa.array(values, storage)
    return pa.ExtensionArray.from_storage(kind, array) if storage is not kind else array


def images_of(num_rows: int, random: Random) -> list[bytes]:
    """Random bytes of varied size, as pictures are."""
    sizes = (0, 1, 30, 300, 2_000) if random.random() < 0.95 else (10, 100_000)
    return [random.randbytes(random.choice(sizes)) for _ in range(num_rows)]


class Ids:
    """The IDs of a table: a value of its type for each number.

    Args:
        kind: The type.
        random: Chooses what texts look like.
    """

    def __init__(self, kind: pa.DataType, random: Random) -> None:
        self.kind = kind
        self._storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        self._text = random.choice(_TEXTS)
        self.most = 100 if kind in {pa.int8(), pa.uint8()} else 30_000
        self._base = 0
        if pa.types.is_integer(kind):
            least, most = (0, 2**kind.bit_width) if "uint" in str(kind) else (
                -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1),
            )  # fmt: skip
            self._base = random.choice([0, least, most - self.most])

    def array(self, numbers: Sequence[int | None]) -> pa.Array:
        """The IDs of these numbers; None is NULL."""
        values = [None if number is None else self._value(number) for number in numbers]
        array = pa.array(values, self._storage)
        if self._storage is not self.kind:
            return pa.ExtensionArray.from_storage(self.kind, array)
        return array

    def _value(self, number: int) -> Any:
        kind = self._storage.value_type if pa.types.is_dictionary(self._storage) else self._storage
        if pa.types.is_integer(kind):
            return self._base + number
        if pa.types.is_decimal(kind):
            return Decimal(number)
        if pa.types.is_fixed_size_binary(kind):
            return uuid.UUID(int=number * 0x1234_5678_9ABC_DEF1_2345).bytes
        if kind in {pa.binary(), pa.large_binary()}:
            return hashlib.md5(str(number).encode()).digest()[: 3 + number % 14] + b"%d" % number
        return self._text.format(number)
