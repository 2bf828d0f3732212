"""Read slices of a Snappy block without decompressing the bytes before them.

Snappy's compressors work in fragments of 64 KB. A fragment refers to no bytes outside of itself.
Bytes that don't compress, such as those of images, are stored without compression. So a fragment
can be found by reading only the few tags of the fragments before it.

Source: Snappy, format_description.txt
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dedup_lib.executor.parquet_values.file_slices import FileSlice

_FRAGMENT_BYTES = 1 << 16
# A tag has one byte and at most four more.
_MOST_TAG_BYTES = 5


class SnappyError(ValueError):
    """A block is damaged, or its compressor did not work in fragments of 64 KB."""


class _Element(NamedTuple):
    """A literal, whose bytes are in the block, or a copy of earlier bytes.

    Attributes:
        offset: The offset of the literal's bytes in the block; for a copy, of the next element.
        length: The number of decompressed bytes.
        distance: The distance back to the copied bytes; 0 for a literal.
    """

    offset: int
    length: int
    distance: int

    @property
    def end(self) -> int:
        """The offset of the next element in the block."""
        return self.offset + (0 if self.distance else self.length)


class SnappySlices:
    """The decompressed bytes of a Snappy block, read slice by slice, best in ascending order.

    Attributes:
        num_bytes: The number of decompressed bytes, as the block says.
    """

    def __init__(self, block: FileSlice) -> None:
        self._block = block
        self.num_bytes, first = _read_length(block.read(0, _MOST_TAG_BYTES))
        self._starts = [first]
        self._latest: tuple[int, bytes] = (-1, b"")

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Return decompressed bytes from an offset.

        Raises:
            SnappyError: The bytes can't be read in this way.
        """
        if offset + num_bytes > self.num_bytes:
            raise SnappyError("a block ends too early")
        parts = []
        while num_bytes > 0:
            number, start = divmod(offset, _FRAGMENT_BYTES)
            wanted = min(num_bytes, _FRAGMENT_BYTES - start)
            part = self._read_fragment(number, start, wanted)
            if len(part) < wanted:
                raise SnappyError("a block ends too early")
            parts.append(part)
            offset, num_bytes = offset + len(part), num_bytes - len(part)
        return b"".join(parts)

    def _read_fragment(self, number: int, start: int, num_bytes: int) -> bytes:
        """Return bytes of a fragment; if all are in one literal, read only these."""
        while len(self._starts) <= number:
            self._starts.append(self._find_end(len(self._starts) - 1))
        if self._latest[0] != number:
            at = 0
            for offset, length, distance in self._elements(number):
                if at <= start and start + num_bytes <= at + length and not distance:
                    return self._block.read(offset + start - at, num_bytes)
                at += length
                if at > start:
                    break
            self._latest = (number, self._decompress(number))
        return self._latest[1][start : start + num_bytes]

    def _find_end(self, number: int) -> int:
        end = self._starts[number]
        for element in self._elements(number):
            end = element.end
        return end

    def _decompress(self, number: int) -> bytes:
        found = bytearray()
        for offset, length, distance in self._elements(number):
            if not distance:
                found += self._block.read(offset, length)
            elif distance > len(found):
                raise SnappyError("a fragment refers to one before it")
            else:  # the copied bytes may overlap the copy itself
                again = bytes(found[-distance:][:length])
                found += (again * (length // len(again) + 1))[:length]
        return bytes(found)

    def _elements(self, number: int) -> Iterator[_Element]:
        left = min(_FRAGMENT_BYTES, self.num_bytes - number * _FRAGMENT_BYTES)
        offset = self._starts[number]
        while left > 0:
            element = _parse_tag(self._block.read(offset, _MOST_TAG_BYTES), offset)
            offset = element.end
            left -= element.length
            if left < 0:
                raise SnappyError("the block is not made of fragments")
            yield element


def _parse_tag(tag: bytes, offset: int) -> _Element:
    kind, upper = tag[0] & 3, tag[0] >> 2
    if kind == 0:
        extra = max(upper - 59, 0)
        length = int.from_bytes(tag[1 : 1 + extra], "little") if extra else upper
        return _Element(offset + 1 + extra, length + 1, 0)
    if kind == 1:
        distance, length, size = (tag[0] >> 5 << 8) + tag[1], (upper & 7) + 4, 2
    else:
        size = 3 if kind == 2 else 5
        distance, length = int.from_bytes(tag[1:size], "little"), upper + 1
    if not distance:
        raise SnappyError("a copy refers to itself")
    return _Element(offset + size, length, distance)


def _read_length(data: bytes) -> tuple[int, int]:
    number = 0
    for offset, byte in enumerate(data):
        number |= (byte & 127) << (7 * offset)
        if byte < 128:
            return number, offset + 1
    raise SnappyError("a block does not begin with its length")
