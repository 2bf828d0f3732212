"""Read structs in Thrift's compact protocol, as Parquet's footers and page headers use it.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = {4, 5, 6}
# Parquet's structs have at most seven levels, and its numbers have at most 64 bits.
_MOST_DEPTH = 32
_MOST_SHIFT = 63


def read_struct(data: bytes, offset: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Read a struct; return its fields by number, and the offset after it.

    Args:
        data: The bytes that hold the struct.
        offset: The offset of the struct.
        depth: The number of structs around it.

    Raises:
        IndexError: The data ends before the struct does.
        ValueError: The bytes are not a struct.
    """
    if depth > _MOST_DEPTH:
        raise ValueError("structs are nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[offset]) != 0:
        offset += 1
        if head >> 4:
            number += head >> 4
        else:
            number, offset = _read_integer(data, offset)
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], offset = _read_value(data, offset, kind, depth)
    return fields, offset + 1


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Read a number of seven bits per byte, the lowest first; also return the offset after it.

    Raises:
        IndexError: The data ends before the number does.
        ValueError: The number has more than 64 bits.
    """
    number = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, offset
        shift += 7
        if shift > _MOST_SHIFT:
            raise ValueError("a number has more than 64 bits")


def _read_integer(data: bytes, offset: int) -> tuple[int, int]:
    number, offset = read_varint(data, offset)
    return (number >> 1) ^ -(number & 1), offset


def _read_value(data: bytes, offset: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _read_integer(data, offset)
    if kind == _STRUCT:
        return read_struct(data, offset, depth + 1)
    if kind in (_LIST, _SET):
        return _read_list(data, offset, depth + 1)
    if kind == _BINARY:
        length, offset = read_varint(data, offset)
    elif kind in (_BYTE, _DOUBLE, _TRUE, _FALSE):  # in a list, a boolean takes a byte
        length = 8 if kind == _DOUBLE else 1
    else:
        raise ValueError(f"no Thrift type has the number {kind}")
    if offset + length > len(data):
        raise IndexError("the data ends within a field")
    return data[offset : offset + length], offset + length


def _read_list(data: bytes, offset: int, depth: int) -> tuple[list[Any], int]:
    if depth > _MOST_DEPTH:
        raise ValueError("lists are nested too deeply")
    head = data[offset]
    size, offset = (head >> 4, offset + 1) if head >> 4 < 15 else read_varint(data, offset + 1)
    values = []
    for _ in range(size):  # a wrong size ends this soon, because each value takes at least one byte
        value, offset = _read_value(data, offset, head & 15, depth)
        values.append(value)
    return values, offset
