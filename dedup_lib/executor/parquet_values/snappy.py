"""Slices of a Snappy block, without decompressing what is before them.

Compressors work in fragments of 64 KB, which refer to nothing outside themselves; and bytes that
don't compress, as an image's, are stored as they are. So a fragment is found by reading the few
tags of those before it.

Source: Snappy, format_description.txt
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dedup_lib.executor.parquet_values.file_slices import FileSlice

_FRAGMENT_BYTES = 1 << 16
# A tag is one byte and at most four more.
_MOST_TAG_BYTES = 5


class SnappyError(ValueError):
    """A block is damaged, or its compressor worked in no such fragments."""


class _Element(NamedTuple):
    """A literal, which is in the file, or a copy of what came before (`distance` is not 0)."""

    place: int
    length: int
    distance: int


class SnappySlices:
    """What a Snappy block says, slice by slice; best asked in ascending order."""

    def __init__(self, block: FileSlice) -> None:
        self._block = block
        self.num_bytes, first = _varint(block.read(0, _MOST_TAG_BYTES))
        self._starts = [first]
        self._latest: tuple[int, bytes] = (-1, b"")

    def read(self, place: int, num_bytes: int) -> bytes:
        """Return some bytes of what the block says.

        Raises:
            SnappyError: They can't be told.
        """
        if place + num_bytes > self.num_bytes:
            raise SnappyError("a block ends too early")
        parts = []
        while num_bytes > 0:
            number, skipped = divmod(place, _FRAGMENT_BYTES)
            wanted = min(num_bytes, _FRAGMENT_BYTES - skipped)
            part = self._slice(number, skipped, wanted)
            if len(part) < wanted:
                raise SnappyError("a block ends too early")
            parts.append(part)
            place, num_bytes = place + len(part), num_bytes - len(part)
        return b"".join(parts)

    def _slice(self, number: int, start: int, num_bytes: int) -> bytes:
        """Return some bytes of a fragment: without the others, where they are in one literal."""
        while len(self._starts) <= number:
            self._starts.append(self._end_of(len(self._starts) - 1))
        if self._latest[0] != number:
            at = 0
            for place, length, distance in self._elements(number):
                if at <= start and start + num_bytes <= at + length and not distance:
                    return self._block.read(place + start - at, num_bytes)
                at += length
                if at > start:
                    break
            self._latest = (number, self._decoded(number))
        return self._latest[1][start : start + num_bytes]

    def _end_of(self, number: int) -> int:
        end = self._starts[number]
        for element in self._elements(number):
            end = element.place + (0 if element.distance else element.length)
        return end

    def _decoded(self, number: int) -> bytes:
        decoded = bytearray()
        for place, length, distance in self._elements(number):
            if not distance:
                decoded += self._block.read(place, length)
            elif distance > len(decoded):
                raise SnappyError("a fragment refers to one before it")
            else:  # it may run on into what it writes
                again = bytes(decoded[-distance:][:length])
                decoded += (again * (length // len(again) + 1))[:length]
        return bytes(decoded)

    def _elements(self, number: int) -> Iterator[_Element]:
        """Yield a fragment's elements; the place of a copy is that of what follows it."""
        left = min(_FRAGMENT_BYTES, self.num_bytes - number * _FRAGMENT_BYTES)
        place = self._starts[number]
        while left > 0:
            element = _element(self._block.read(place, _MOST_TAG_BYTES), place)
            place = element.place + (0 if element.distance else element.length)
            left -= element.length
            if left < 0:
                raise SnappyError("the block is not made of fragments")
            yield element


def _element(tag: bytes, place: int) -> _Element:
    kind, upper = tag[0] & 3, tag[0] >> 2
    if kind == 0:
        extra = max(upper - 59, 0)
        length = int.from_bytes(tag[1 : 1 + extra], "little") if extra else upper
        return _Element(place + 1 + extra, length + 1, 0)
    if kind == 1:
        distance, length, size = (tag[0] >> 5 << 8) + tag[1], (upper & 7) + 4, 2
    else:
        size = 3 if kind == 2 else 5
        distance, length = int.from_bytes(tag[1:size], "little"), upper + 1
    if not distance:
        raise SnappyError("a copy refers to itself")
    return _Element(place + size, length, distance)


def _varint(data: bytes) -> tuple[int, int]:
    number = 0
    for place, byte in enumerate(data):
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number, place + 1
    raise SnappyError("a block begins with no length")
