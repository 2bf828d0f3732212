"""Single values of a Parquet column chunk of byte arrays, without reading the others.

Parquet's readers take whole pages: a hundred images of Spark's, a row group of pyarrow's. But what
is stored as it is, or by Snappy, can be passed over: each value is preceded by its length.

Source: Apache Parquet, file format: data pages, encodings
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dedup_lib.file_slices import FileSlice
from dedup_lib.files import ColumnChunk
from dedup_lib.snappy_slices import SnappySlices
from dedup_lib.thrift_structs import read_struct, read_varint

# With the smallest and the largest value, of at most some thousand bytes each.
_MOST_HEADER_BYTES = 64 * 1024
# What must be decompressed as a whole is held as a whole.
_MOST_HELD_BYTES = 256 * 1024**2
_PLAIN, _RLE = 0, 3
_BY_DICTIONARY = {2, 8}
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3


class UnreadValueError(ValueError):
    """Values can't be read one by one; the message is a reason, without a full stop."""


Value = bytes | None | UnreadValueError


class Body(Protocol):
    """A page's bytes, decompressed."""

    def read(self, place: int, num_bytes: int) -> bytes:
        """Return some bytes."""


@dataclass(frozen=True)
class _Page:
    header: Mapping[int, Any]
    body: FileSlice

    @property
    def kind(self) -> int:
        return int(self.header[1])

    @property
    def details(self) -> Mapping[int, Any]:
        found: Mapping[int, Any] = self.header[{_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}[self.kind]]
        return found

    @property
    def num_values(self) -> int:
        return int(self.details[1])

    @property
    def encoding(self) -> int:
        return int(self.details[4 if self.kind == _DATA_V2 else 2])

    @property
    def num_level_bytes(self) -> int:
        """How many bytes of levels are before the values, and never compressed."""
        return int(self.details[5]) + int(self.details[6]) if self.kind == _DATA_V2 else 0

    @property
    def num_bytes(self) -> int:
        """How many bytes there are when decompressed, without such levels."""
        return int(self.header[2]) - self.num_level_bytes


def values_at(
    file: FileSlice, chunk: ColumnChunk, rows: Sequence[int], most_bytes: int
) -> Iterator[tuple[int, Value]]:
    """Read the values of some rows, one after the other.

    Args:
        file: The chunk's bytes.
        chunk: What it is.
        rows: Counted from the first row of its row group.
        most_bytes: What is longer is not read.

    Returns:
        Each row, in some order, and its value: None for a NULL, or why it was not read.

    Raises:
        UnreadValueError: The rest can't be read in this way.

    *Cost:* some bytes for each value or 64 KB before the ones that are asked for; of what is
    neither stored as it is nor by Snappy, the pages that hold these.
    """
    if chunk.is_repeated:
        raise UnreadValueError("a row may have several values")
    dictionary: _Page | None = None
    first = 0
    for page in _pages(file):
        if page.kind == _DICTIONARY:
            dictionary = page
        elif page.kind in (_DATA, _DATA_V2):
            here = [row - first for row in rows if first <= row < first + page.num_values]
            if here:
                for row, value in _values_of_page(chunk, page, dictionary, here, most_bytes):
                    yield row + first, value
            first += page.num_values
            if first > max(rows):
                break


def _pages(file: FileSlice) -> Iterator[_Page]:
    place = 0
    while place < file.num_bytes:
        head = file.read(place, 512)
        try:
            header, length = read_struct(head, 0)
        except IndexError:
            header, length = read_struct(file.read(place, _MOST_HEADER_BYTES), 0)
        place += length
        if (num_bytes := int(header[3])) < 0:
            raise UnreadValueError("a page's header is damaged")
        yield _Page(header, file.part(place, num_bytes))
        place += num_bytes


def _values_of_page(
    chunk: ColumnChunk,
    page: _Page,
    dictionary: _Page | None,
    rows: Sequence[int],
    most_bytes: int,
) -> Iterator[tuple[int, Value]]:
    levels, body, start = _levels_and_values(chunk, page)
    ranks = _ranks(levels, chunk.definition_level, rows)
    yield from ((row, None) for row, rank in ranks.items() if rank is None)
    there = {row: rank for row, rank in ranks.items() if rank is not None}
    if not there:
        return
    if page.encoding in _BY_DICTIONARY and dictionary is not None:
        indexes = _indexes(body, start, page, max(there.values()) + 1)
        there = {row: indexes[rank] for row, rank in there.items()}
        body, start = _body(chunk, dictionary, dictionary.body), 0
    elif page.encoding != _PLAIN:
        raise UnreadValueError(f"its encoding (number {page.encoding}) is none that is read here")
    for number, value in _plain(body, start, set(there.values()), most_bytes):
        yield from ((row, value) for row, own in there.items() if own == number)


def _levels_and_values(chunk: ColumnChunk, page: _Page) -> tuple[list[int] | None, Body, int]:
    """Return the definition levels (None: every value is there), the body, and where values are."""
    width = chunk.definition_level.bit_length()
    if page.kind == _DATA_V2:
        before = page.num_level_bytes
        values = page.body.part(before, page.body.num_bytes - before)
        body = _body(chunk, page, values) if page.details.get(7, True) else values
        levels = page.body.read(0, int(page.details[5]))
        return (_hybrid(levels, width, page.num_values) if width else None), body, 0
    body = _body(chunk, page, page.body)
    if not width:
        return None, body, 0
    if int(page.details[3]) != _RLE:
        raise UnreadValueError("its levels are of an encoding that is none of today's")
    num_bytes = int.from_bytes(body.read(0, 4), "little")
    return _hybrid(body.read(4, num_bytes), width, page.num_values), body, 4 + num_bytes


def _body(chunk: ColumnChunk, page: _Page, stored: FileSlice) -> Body:
    if chunk.codec == "uncompressed":
        return stored
    if chunk.codec == "snappy":
        return SnappySlices(stored)
    return _decompressed(chunk.codec, stored, page.num_bytes)


def _decompressed(codec: str, stored: FileSlice, num_bytes: int) -> Body:
    if stored.num_bytes + num_bytes > _MOST_HELD_BYTES:
        raise UnreadValueError(
            f"it is in a page of {num_bytes / 1e6:,.0f} MB, which {codec} makes one whole"
        )
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UnreadValueError(f"{codec} needs pyarrow where the job starts") from error
    name = {"lz4_raw": "lz4_raw", "lz4": "lz4_hadoop"}.get(codec, codec)
    try:
        held = pa.decompress(stored.read(0, stored.num_bytes), num_bytes, name, asbytes=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadValueError(f"it can't be decompressed ({codec}: {error})") from error
    return _Held(held)


@dataclass(frozen=True)
class _Held:
    data: bytes

    def read(self, place: int, num_bytes: int) -> bytes:
        return self.data[place : place + num_bytes]


def _ranks(levels: list[int] | None, highest: int, rows: Sequence[int]) -> dict[int, int | None]:
    """Count the values that are there before each of some rows; None where that has none."""
    if levels is None:
        return {row: row for row in rows}
    return {
        row: sum(level == highest for level in levels[:row]) if levels[row] == highest else None
        for row in rows
    }


def _plain(
    body: Body, place: int, wanted: set[int], most_bytes: int
) -> Iterator[tuple[int, Value]]:
    """Go from value to value, each preceded by its length."""
    for number in range(max(wanted) + 1):
        length = int.from_bytes(body.read(place, 4), "little")
        if number in wanted and length > most_bytes:
            yield number, UnreadValueError(f"it weighs {length / 1e6:,.0f} MB")
        elif number in wanted:
            yield number, body.read(place + 4, length)
        place += 4 + length


def _indexes(body: Body, place: int, page: _Page, count: int) -> list[int]:
    width = body.read(place, 1)[0]
    return _hybrid(body.read(place + 1, page.num_bytes - place - 1), width, count)


def _hybrid(data: bytes, width: int, count: int) -> list[int]:
    """Read numbers of some bits: runs of one number, and groups of eight."""
    numbers: list[int] = []
    place = 0
    while len(numbers) < count:
        header, place = read_varint(data, place)
        if header & 1:
            end = place + (header >> 1) * width
            bits, mask = int.from_bytes(data[place:end], "little"), (1 << width) - 1
            numbers += [bits >> (width * n) & mask for n in range((header >> 1) * 8)]
        else:
            end = place + (width + 7) // 8
            run = min(header >> 1, count - len(numbers))
            numbers += [int.from_bytes(data[place:end], "little")] * run
        place = end
    return numbers[:count]
