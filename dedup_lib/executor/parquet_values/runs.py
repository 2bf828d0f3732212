"""Read definition levels and dictionary indexes: small numbers, stored as runs of equal numbers.

Source: Apache Parquet, file format: encodings, RLE / bit-packing hybrid
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dedup_lib.executor.parquet_values.file_slices import UnreadValueError
from dedup_lib.executor.parquet_values.thrift import read_varint

CUT_OFF = "its file is damaged: a page ends too early"
_MOST_BITS = 32
# Numbers, each with the length of its run.
Runs = Iterable[tuple[int, int]]
# Rows by the position of their value in a page or a dictionary.
RowsByPosition = Mapping[int, list[int]]


class _Run(NamedTuple):
    """A run of one number.

    Attributes:
        first: The position of the first value.
        number: The number.
        length: The number of values.
        wanted: The wanted positions that are in the run.
    """

    first: int
    number: int
    length: int
    wanted: list[int]


def read_runs(data: bytes, width: int) -> Iterator[tuple[int, int]]:
    """Read numbers of `width` bits each: runs of one number, and groups of eight numbers."""
    if width > _MOST_BITS:
        raise UnreadValueError(f"its file is damaged: numbers of {width} bits")
    offset, mask = 0, (1 << width) - 1
    while offset < len(data):
        header, offset = read_varint(data, offset)
        count = header >> 1
        if not header & 1:
            end = offset + (width + 7) // 8
            yield int.from_bytes(data[offset:end], "little"), count
            offset = end
        elif not width:
            yield 0, 8 * count
        else:
            end = min(offset + count * width, len(data))
            for start in range(offset, end, width):
                bits = int.from_bytes(data[start : start + width], "little")
                for shift in range(0, 8 * width, width):
                    yield bits >> shift & mask, 1
            offset = end


def find_runs(rows: RowsByPosition, runs: Runs) -> Iterator[_Run]:
    """Go through runs until all wanted positions are found.

    Raises:
        UnreadValueError: The runs end too early.
    """
    left, first = deque(sorted(rows)), 0
    for number, length in runs:
        wanted = []
        while left and left[0] < first + length:
            wanted.append(left.popleft())
        yield _Run(first, number, length, wanted)
        if not left:
            return
        first += length
    raise UnreadValueError(CUT_OFF)


def split_nulls(
    rows: RowsByPosition, levels: Runs | None, value_level: int
) -> tuple[list[int], RowsByPosition]:
    """Separate NULLs from values by their definition levels.

    Args:
        rows: Rows by their position in a page.
        levels: The definition levels of the page; None if the page has no NULLs.
        value_level: The level of a value that is not NULL.

    Returns:
        The rows that are NULL; and the other rows by the position of their value, without NULLs.
    """
    if levels is None:
        return [], rows
    nulls: list[int] = []
    values: dict[int, list[int]] = {}
    values_before = 0
    for run in find_runs(rows, levels):
        if run.number == value_level:
            shift = values_before - run.first
            values |= {position + shift: rows[position] for position in run.wanted}
            values_before += run.length
        else:
            nulls += [row for position in run.wanted for row in rows[position]]
    return nulls, values
