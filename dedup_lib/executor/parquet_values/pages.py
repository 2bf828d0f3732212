"""Single values of a Parquet column chunk of byte arrays, without reading the others.

Parquet's readers take whole pages: a hundred images of Spark's, a row group of pyarrow's. But what
is stored as it is, or by Snappy, can be passed over: each value is preceded by its length.

Source: Apache Parquet, file format: data pages, encodings
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from dedup_lib.executor.parquet_values.file_slices import (
    FileSlice,
    Hold,
    UnreadValueError,
    damage_is_a_reason,
)
from dedup_lib.executor.parquet_values.row_groups import ColumnChunk
from dedup_lib.executor.parquet_values.snappy import SnappySlices
from dedup_lib.executor.parquet_values.thrift import read_struct, read_varint

# With the smallest and the largest value, of at most some thousand bytes each.
_MOST_HEADER_BYTES = 64 * 1024
# What must be decompressed as a whole is held as a whole.
_MOST_HELD_BYTES = 256 * 1024**2
# Short values are not read one by one, but with their page, as those of most texts.
_SHORT_BYTES = 1024
_MOST_SHORT_BYTES = 16 * 1024**2
# Levels and indexes of a page: of millions of values.
_MOST_NUMBERS_BYTES = 4 * 1024**2
_MOST_BITS = 32
_PLAIN, _RLE = 0, 3
_BY_DICTIONARY = {2, 8}
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_CUT_OFF = "its file is damaged: a page ends too early"
_FALSE_LENGTH = "its file is damaged: a page is not as long as it says"
# What pyarrow decompresses as a stream, and so tells where it ends.
_STREAMED = {"gzip", "zstd", "brotli"}
_BY_ARROW = {*_STREAMED, "snappy", "lz4_raw"}

# Numbers, and how many times each comes.
_Runs = Iterable[tuple[int, int]]
# Rows, by the number of a value among others.
_ByNumber = Mapping[int, list[int]]


class _Body(Protocol):
    """A page's bytes, decompressed."""

    num_bytes: int

    def read(self, place: int, num_bytes: int) -> bytes:
        """Return some bytes; fewer at the end."""


@dataclass(frozen=True)
class StoredValue:
    """A value that is there, and not read yet; it may be read until the next one is asked for."""

    num_bytes: int
    _body: _Body
    _place: int

    def read(self) -> bytes:
        """Return it.

        Raises:
            UnreadValueError: It can't be read.
        """
        with damage_is_a_reason():
            data = self._body.read(self._place, self.num_bytes)
        if len(data) < self.num_bytes:
            raise UnreadValueError(_CUT_OFF)
        return data


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
        return max(int(self.details[1]), 0)

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

    @property
    def is_compressed(self) -> bool:
        return bool(self.details.get(7, True)) if self.kind == _DATA_V2 else True

    @property
    def is_short(self) -> bool:
        """Whether its values are short, and not too many to be read together."""
        num_bytes = max(self.num_bytes, self.body.num_bytes)
        return num_bytes < min(_SHORT_BYTES * self.num_values, _MOST_SHORT_BYTES)


def values_at(
    file: FileSlice, chunk: ColumnChunk, rows: Collection[int], hold: Hold
) -> Iterator[tuple[int, StoredValue | None]]:
    """Find the values of some rows, one after the other.

    Args:
        file: The chunk's bytes.
        chunk: What it is.
        rows: Counted from the first row of its row group.
        hold: Entered while more than a value is held in memory.

    Returns:
        Each row, in some order, and its value; None for a NULL.

    Raises:
        UnreadValueError: The rest can't be read in this way.

    *Cost:* some bytes for each value before the ones that are asked for; of short ones their page,
    and so of what is neither stored as it is nor by Snappy.
    """
    with damage_is_a_reason():
        yield from _values(file, chunk, rows, hold)


def _values(
    file: FileSlice, chunk: ColumnChunk, rows: Collection[int], hold: Hold
) -> Iterator[tuple[int, StoredValue | None]]:
    dictionary: _Page | None = None
    in_dictionary: dict[int, list[int]] = defaultdict(list)
    first, last = 0, max(rows)
    for page in _pages(file):
        if page.kind == _DICTIONARY:
            dictionary = page
        elif page.kind in (_DATA, _DATA_V2):
            here = [row for row in rows if first <= row < first + page.num_values]
            if here:
                own = {row - first: [row] for row in sorted(here)}
                yield from _values_of_page(chunk, page, own, in_dictionary, hold)
            first += page.num_values
            if first > last:
                break
    if in_dictionary:
        if dictionary is None:
            raise UnreadValueError("its file is damaged: a dictionary is not there")
        with _decompressed(chunk, dictionary, hold) as body:
            yield from _plain(body, 0, in_dictionary)


def _pages(file: FileSlice) -> Iterator[_Page]:
    place = 0
    while place < file.num_bytes:
        head = file.read(place, 512)
        try:
            header, length = read_struct(head, 0)
        except IndexError:
            header, length = read_struct(file.read(place, _MOST_HEADER_BYTES), 0)
        place += length
        body = file.part(place, int(header[3]))
        yield _Page(header, body)
        place += body.num_bytes


def _values_of_page(
    chunk: ColumnChunk,
    page: _Page,
    rows: _ByNumber,
    in_dictionary: dict[int, list[int]],
    hold: Hold,
) -> Iterator[tuple[int, StoredValue | None]]:
    """Find values of a page, or in which place of the dictionary they are."""
    with _decompressed(chunk, page, hold) as body:
        levels, start = _levels(chunk, page, body)
        nulls, ranks = _ranks(levels, chunk.definition_level, rows)
        yield from ((row, None) for row in nulls)
        if page.encoding == _PLAIN:
            yield from _plain(body, start, ranks)
        elif page.encoding in _BY_DICTIONARY:
            for index, of_index in _indexes(body, start, ranks):
                in_dictionary[index] += of_index
        else:
            number = page.encoding
            raise UnreadValueError(f"its encoding (number {number}) is none that is read here")


@contextmanager
def _decompressed(chunk: ColumnChunk, page: _Page, hold: Hold) -> Iterator[_Body]:
    """Give a page's bytes, without the levels that are never compressed."""
    before = page.num_level_bytes
    stored = page.body.part(before, page.body.num_bytes - before)
    codec = chunk.codec if page.is_compressed else "uncompressed"
    if stored.num_bytes == page.num_bytes == 0:  # of NULLs alone; some codecs know no empty block
        yield _held(b"")
        return
    is_walked = codec in ("uncompressed", "snappy")
    if is_walked and not page.is_short:
        yield _slices(codec, stored, page)
        return
    if not 0 <= page.num_bytes <= _MOST_HELD_BYTES - stored.num_bytes:
        raise UnreadValueError(
            f"it is in a page of {page.num_bytes / 1e6:,.0f} MB, which {codec} makes one whole"
        )
    with hold(stored.num_bytes + page.num_bytes):
        yield _held(_whole(codec, stored.read(0, stored.num_bytes), page))


def _slices(codec: str, stored: FileSlice, page: _Page) -> _Body:
    body: _Body = SnappySlices(stored) if codec == "snappy" else stored
    if body.num_bytes != page.num_bytes:
        raise UnreadValueError(_FALSE_LENGTH)
    return body


def _whole(codec: str, stored: bytes, page: _Page) -> bytes:
    if codec == "uncompressed":
        return stored
    try:
        import pyarrow as pa
    except ImportError as error:
        if codec != "snappy":
            raise UnreadValueError(f"{codec} needs pyarrow where it is read") from error
        return _slices(codec, _held(stored), page).read(0, page.num_bytes)
    if codec == "snappy":
        _slices(codec, _held(stored), page)
    elif codec not in _BY_ARROW:
        raise UnreadValueError(f"its compression ({codec}) is none that is read here")
    try:
        whole = _by_arrow(codec, stored, page.num_bytes)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadValueError(f"it can't be decompressed ({codec}: {error})") from error
    if len(whole) != page.num_bytes:
        raise UnreadValueError(_FALSE_LENGTH)
    return whole


def _by_arrow(codec: str, stored: bytes, num_bytes: int) -> bytes:
    """Decompress; another number of bytes comes of a block that does not say so many.

    `decompress` would add what was in memory: Snappy's own length has been looked at, and LZ4 is
    asked for one byte less as well, which it refuses where there are more.
    """
    import pyarrow as pa

    if codec in _STREAMED:
        with pa.CompressedInputStream(pa.BufferReader(stored), codec) as stream:
            return bytes(stream.read(num_bytes + 1))
    whole: bytes = pa.decompress(stored, num_bytes, codec, asbytes=True)
    if codec == "lz4_raw" and num_bytes:
        with suppress(pa.ArrowException, OSError, ValueError):
            return bytes(pa.decompress(stored, num_bytes - 1, codec, asbytes=True))
    return whole


def _held(data: bytes) -> FileSlice:
    return FileSlice(lambda place, num_bytes: data[place : place + num_bytes], 0, len(data))


def _levels(chunk: ColumnChunk, page: _Page, body: _Body) -> tuple[_Runs | None, int]:
    """Return the definition levels (None: every value is there), and where the values are."""
    width = chunk.definition_level.bit_length()
    if page.kind == _DATA_V2:
        # Those of repetition come before; where nothing is repeated, there are none.
        numbers = page.body.part(int(page.details[6]), int(page.details[5]))
        return (_runs(_numbers(numbers, 0, numbers.num_bytes), width) if width else None), 0
    if not width:
        return None, 0
    if int(page.details[3]) != _RLE:
        raise UnreadValueError("its levels are of an encoding that is none of today's")
    num_bytes = int.from_bytes(body.read(0, 4), "little")
    return _runs(_numbers(body, 4, num_bytes), width), 4 + num_bytes


def _numbers(body: _Body, place: int, num_bytes: int) -> bytes:
    if num_bytes > _MOST_NUMBERS_BYTES:
        raise UnreadValueError(f"its page has {num_bytes / 1e6:,.0f} MB of levels or indexes")
    return body.read(place, num_bytes)


def _ranks(levels: _Runs | None, highest: int, rows: _ByNumber) -> tuple[list[int], _ByNumber]:
    """Return the rows that are NULL, and the others by the number of values before theirs."""
    if levels is None:
        return [], rows
    nulls: list[int] = []
    ranks: dict[int, list[int]] = {}
    there = 0
    for first, level, length, here in _beside(rows, levels):
        if level == highest:
            ranks |= {there + number - first: rows[number] for number in here}
            there += length
        else:
            nulls += [row for number in here for row in rows[number]]
    return nulls, ranks


def _indexes(body: _Body, place: int, rows: _ByNumber) -> Iterator[tuple[int, list[int]]]:
    """Look up the places of values in a dictionary."""
    if rows:
        width = body.read(place, 1)[0]
        numbers = _numbers(body, place + 1, body.num_bytes - place - 1)
        for _, index, _, here in _beside(rows, _runs(numbers, width)):
            yield from ((index, rows[number]) for number in here)


def _beside(rows: _ByNumber, runs: _Runs) -> Iterator[tuple[int, int, int, list[int]]]:
    """Go through runs as far as there are rows: where one begins, what it is, and what is in it."""
    left, first = deque(sorted(rows)), 0
    for number, length in runs:
        here = []
        while left and left[0] < first + length:
            here.append(left.popleft())
        yield first, number, length, here
        if not left:
            return
        first += length
    raise UnreadValueError(_CUT_OFF)


def _plain(body: _Body, place: int, rows: _ByNumber) -> Iterator[tuple[int, StoredValue]]:
    """Go from value to value, each preceded by its length; find those that are some rows'."""
    for number in range(max(rows, default=-1) + 1):
        length = int.from_bytes(body.read(place, 4), "little")
        place += 4
        if place + length > body.num_bytes:
            raise UnreadValueError(_CUT_OFF)
        for row in rows.get(number, ()):
            yield row, StoredValue(length, body, place)
        place += length


def _runs(data: bytes, width: int) -> Iterator[tuple[int, int]]:
    """Read numbers of some bits: runs of one number, and groups of eight."""
    if width > _MOST_BITS:
        raise UnreadValueError(f"its file is damaged: numbers of {width} bits")
    place, mask = 0, (1 << width) - 1
    while place < len(data):
        header, place = read_varint(data, place)
        count = header >> 1
        if not header & 1:
            end = place + (width + 7) // 8
            yield int.from_bytes(data[place:end], "little"), count
            place = end
        elif not width:
            yield 0, 8 * count
        else:
            end = min(place + count * width, len(data))
            for start in range(place, end, width):
                bits = int.from_bytes(data[start : start + width], "little")
                for shift in range(0, 8 * width, width):
                    yield bits >> shift & mask, 1
            place = end
