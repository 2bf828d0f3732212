"""Structs in Thrift's compact protocol: as much of it as Parquet's footers and pages need.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = {4, 5, 6}
# Parquet's are seven deep, and its numbers of 64 bits at most.
_MOST_DEPTH = 32
_MOST_SHIFT = 63


def read_struct(data: bytes, place: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Read a struct: its fields by number, and where it ends.

    Args:
        data: Where it is.
        place: Where it begins.
        depth: In how many others it is.

    Raises:
        IndexError: The data end before it does.
        ValueError: It is none.
    """
    if depth > _MOST_DEPTH:
        raise ValueError("a struct is in too many others")
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[place]) != 0:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            number, place = _integer(data, place)
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], place = _value(data, place, kind, depth)
    return fields, place + 1


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first, and where it ends.

    Raises:
        IndexError: The data end before it does.
        ValueError: It has more than 64 bits.
    """
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
        shift += 7
        if shift > _MOST_SHIFT:
            raise ValueError("a number has more than 64 bits")


def _integer(data: bytes, place: int) -> tuple[int, int]:
    number, place = read_varint(data, place)
    return (number >> 1) ^ -(number & 1), place


def _value(data: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(data, place)
    if kind == _STRUCT:
        return read_struct(data, place, depth + 1)
    if kind in (_LIST, _SET):
        return _list(data, place, depth + 1)
    if kind == _BINARY:
        length, place = read_varint(data, place)
    elif kind in (_BYTE, _DOUBLE, _TRUE, _FALSE):  # in a list, a truth value takes a byte
        length = 8 if kind == _DOUBLE else 1
    else:
        raise ValueError(f"no Thrift type has the number {kind}")
    if place + length > len(data):
        raise IndexError("the data end within a field")
    return data[place : place + length], place + length


def _list(data: bytes, place: int, depth: int) -> tuple[list[Any], int]:
    if depth > _MOST_DEPTH:
        raise ValueError("a list is in too many others")
    head = data[place]
    size, place = (head >> 4, place + 1) if head >> 4 < 15 else read_varint(data, place + 1)
    values = []
    for _ in range(size):  # each takes a byte at least, so that the data end before it does
        value, place = _value(data, place, head & 15, depth)
        values.append(value)
    return values, place
