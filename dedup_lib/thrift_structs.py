"""Structs in Thrift's compact protocol: as much of it as headers of Parquet's pages need.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = {4, 5, 6}


def read_struct(data: bytes, place: int) -> tuple[dict[int, Any], int]:
    """Read a struct: its fields by number, and where it ends.

    Raises:
        IndexError: The data end before it does.
        ValueError: It is none.
    """
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[place]) != 0:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            number, place = _integer(data, place)
        fields[number], place = _value(data, place, head & 15)
    return fields, place + 1


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first, and where it ends.

    Raises:
        IndexError: The data end before it does.
    """
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
        shift += 7


def _integer(data: bytes, place: int) -> tuple[int, int]:
    number, place = read_varint(data, place)
    return (number >> 1) ^ -(number & 1), place


def _value(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, place
    if kind in _INTEGERS:
        return _integer(data, place)
    if kind == _STRUCT:
        return read_struct(data, place)
    if kind in (_LIST, _SET):
        return _list(data, place)
    if kind == _BINARY:
        length, place = read_varint(data, place)
    elif kind in (_BYTE, _DOUBLE):
        length = 1 if kind == _BYTE else 8
    else:
        raise ValueError(f"no Thrift type has the number {kind}")
    if place + length > len(data):
        raise IndexError("the data end within a field")
    return data[place : place + length], place + length


def _list(data: bytes, place: int) -> tuple[list[Any], int]:
    head = data[place]
    size, place = (head >> 4, place + 1) if head >> 4 < 15 else read_varint(data, place + 1)
    values = []
    for _ in range(size):
        value, place = _value(data, place, head & 15)
        values.append(value)
    return values, place
