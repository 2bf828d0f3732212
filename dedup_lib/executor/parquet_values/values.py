"""Read single values of a Parquet column chunk of byte arrays, without reading the other values.

Libraries for Parquet read whole pages: some hundred images in a page that Spark wrote, or a whole
row group that pyarrow wrote. But each value comes after its length. So values can be skipped if
they are uncompressed, or compressed with Snappy.

Source: Apache Parquet, file format: data pages, encodings
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dedup_lib.executor.parquet_values.column_chunks import ColumnChunk
from dedup_lib.executor.parquet_values.file_slices import (
    FileSlice,
    Hold,
    UnreadValueError,
    explain_damage,
)
from dedup_lib.executor.parquet_values.pages import (
    DATA,
    DATA_V2,
    DICTIONARY,
    Page,
    PageBytes,
    open_page,
    read_pages,
)
from dedup_lib.executor.parquet_values.runs import (
    CUT_OFF,
    RowsByPosition,
    Runs,
    find_runs,
    read_runs,
    split_nulls,
)

# Enough for the levels or indexes of a page with millions of values.
_MOST_NUMBERS_BYTES = 4 * 1024**2
_PLAIN, _RLE = 0, 3
_DICTIONARY_ENCODINGS = {2, 8}


@dataclass(frozen=True)
class StoredValue:
    """A value that was found, but not read yet; read it before you request the next value.

    Attributes:
        num_bytes: The length in bytes.
    """

    num_bytes: int
    _page: PageBytes
    _offset: int

    def read(self) -> bytes:
        """Read the value.

        Raises:
            UnreadValueError: The value can't be read.
        """
        with explain_damage():
            data = self._page.read(self._offset, self.num_bytes)
        if len(data) < self.num_bytes:
            raise UnreadValueError(CUT_OFF)
        return data


# Rows, each with its value; None for NULL.
_Found = Iterator[tuple[int, StoredValue | None]]


def values_at(file: FileSlice, chunk: ColumnChunk, rows: Collection[int], hold: Hold) -> _Found:
    """Find the values of some rows, one after the other.

    Args:
        file: The bytes of the chunk.
        chunk: The chunk's facts.
        rows: The row indexes in the row group.
        hold: A context that is entered while more than one value is in memory.

    Returns:
        Each row with its value, or None for NULL; in any order.

    Raises:
        UnreadValueError: The remaining values can't be read in this way.

    *Cost:* some bytes for each value before the wanted values. A whole page, if its values are
    short, or if its codec is neither none nor Snappy.
    """
    with explain_damage():
        yield from _find_values(file, chunk, rows, hold)


def _find_values(file: FileSlice, chunk: ColumnChunk, rows: Collection[int], hold: Hold) -> _Found:
    dictionary: Page | None = None
    in_dictionary: dict[int, list[int]] = defaultdict(list)
    first, last = 0, max(rows)
    for page in read_pages(file):
        if page.kind == DICTIONARY:
            dictionary = page
        elif page.kind in (DATA, DATA_V2):
            wanted = sorted(row for row in rows if first <= row < first + page.num_values)
            if wanted:
                positions = {row - first: [row] for row in wanted}
                with open_page(page, chunk.codec, hold) as data:
                    yield from _find_in_page(chunk, page, data, positions, in_dictionary)
            first += page.num_values
            if first > last:
                break
    if in_dictionary:
        if dictionary is None:
            raise UnreadValueError("its file is damaged: a dictionary is missing")
        with open_page(dictionary, chunk.codec, hold) as data:
            yield from _find_plain(data, 0, in_dictionary)


def _find_in_page(
    chunk: ColumnChunk,
    page: Page,
    data: PageBytes,
    rows: RowsByPosition,
    in_dictionary: dict[int, list[int]],
) -> _Found:
    """Yield the values that are in a page; collect the rows whose values are in the dictionary."""
    levels, start = _read_levels(chunk, page, data)
    nulls, values = split_nulls(rows, levels, chunk.definition_level)
    yield from ((row, None) for row in nulls)
    if page.encoding == _PLAIN:
        yield from _find_plain(data, start, values)
    elif page.encoding in _DICTIONARY_ENCODINGS:
        for index, rows_of_index in _find_indexes(data, start, values):
            in_dictionary[index] += rows_of_index
    else:
        raise UnreadValueError(f"its encoding (number {page.encoding}) can't be read here")


def _read_levels(chunk: ColumnChunk, page: Page, data: PageBytes) -> tuple[Runs | None, int]:
    """Return the definition levels (None if no value is NULL), and the offset of the values."""
    width = chunk.definition_level.bit_length()
    if page.kind == DATA_V2:
        levels = page.definition_levels()
        return (read_runs(_read_numbers(levels, 0, levels.num_bytes), width) if width else None), 0
    if not width:
        return None, 0
    if int(page.details[3]) != _RLE:
        raise UnreadValueError("its definition levels have an obsolete encoding")
    num_bytes = int.from_bytes(data.read(0, 4), "little")
    return read_runs(_read_numbers(data, 4, num_bytes), width), 4 + num_bytes


def _read_numbers(data: PageBytes, offset: int, num_bytes: int) -> bytes:
    if num_bytes > _MOST_NUMBERS_BYTES:
        raise UnreadValueError(f"its page has {num_bytes / 1e6:,.0f} MB of levels or indexes")
    return data.read(offset, num_bytes)


def _find_indexes(
    data: PageBytes, offset: int, rows: RowsByPosition
) -> Iterator[tuple[int, list[int]]]:
    """Yield indexes into the dictionary, each with the rows that have this value."""
    if rows:
        width = data.read(offset, 1)[0]
        numbers = _read_numbers(data, offset + 1, data.num_bytes - offset - 1)
        for run in find_runs(rows, read_runs(numbers, width)):
            yield from ((run.number, rows[position]) for position in run.wanted)


def _find_plain(
    data: PageBytes, offset: int, rows: RowsByPosition
) -> Iterator[tuple[int, StoredValue]]:
    """Go from value to value, each after its length, and yield the values of the wanted rows."""
    for position in range(max(rows, default=-1) + 1):
        length = int.from_bytes(data.read(offset, 4), "little")
        offset += 4
        if offset + length > data.num_bytes:
            raise UnreadValueError(CUT_OFF)
        for row in rows.get(position, ()):
            yield row, StoredValue(length, data, offset)
        offset += length
