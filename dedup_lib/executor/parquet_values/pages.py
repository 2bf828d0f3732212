"""Read the pages of a Parquet column chunk: their headers and their decompressed bytes.

Source: Apache Parquet, file format: data pages
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from dedup_lib.executor.parquet_values.decompress import FALSE_LENGTH, decompress
from dedup_lib.executor.parquet_values.file_slices import (
    FileSlice,
    Hold,
    UnreadValueError,
    slice_of_bytes,
)
from dedup_lib.executor.parquet_values.snappy import SnappySlices
from dedup_lib.executor.parquet_values.thrift import read_struct

DATA, DICTIONARY, DATA_V2 = 0, 2, 3
# A header holds the smallest and the largest value, each of at most some thousand bytes.
_FIRST_HEADER_BYTES = 512
_MOST_HEADER_BYTES = 64 * 1024
# A page that must be decompressed as a whole takes this much memory at most.
_MOST_HELD_BYTES = 256 * 1024**2
# Short values, such as most texts, are not read one by one, but with their whole page.
_SHORT_BYTES = 1024
_MOST_SHORT_BYTES = 16 * 1024**2


class PageBytes(Protocol):
    """The decompressed bytes of a page."""

    num_bytes: int

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Return bytes from an offset; fewer at the end."""


@dataclass(frozen=True)
class Page:
    """A page as it is stored.

    Attributes:
        header: The fields of the header, by number.
        stored: The bytes in the file after the header.
    """

    header: Mapping[int, Any]
    stored: FileSlice

    @property
    def kind(self) -> int:
        """`DATA`, `DICTIONARY`, `DATA_V2`, or another number."""
        return int(self.header[1])

    @property
    def details(self) -> Mapping[int, Any]:
        """The part of the header that depends on the kind."""
        found: Mapping[int, Any] = self.header[{DATA: 5, DICTIONARY: 7, DATA_V2: 8}[self.kind]]
        return found

    @property
    def num_values(self) -> int:
        """The number of values, with NULLs."""
        return max(int(self.details[1]), 0)

    @property
    def encoding(self) -> int:
        """The number of the encoding."""
        return int(self.details[4 if self.kind == DATA_V2 else 2])

    @property
    def num_level_bytes(self) -> int:
        """The number of bytes with levels before the values, which are never compressed."""
        return int(self.details[5]) + int(self.details[6]) if self.kind == DATA_V2 else 0

    @property
    def num_bytes(self) -> int:
        """The number of decompressed bytes, without those levels."""
        return int(self.header[2]) - self.num_level_bytes

    @property
    def is_compressed(self) -> bool:
        """Whether the column's codec applies to this page."""
        return bool(self.details.get(7, True)) if self.kind == DATA_V2 else True

    @property
    def is_short(self) -> bool:
        """Whether the values are short, and few enough to be read together."""
        num_bytes = max(self.num_bytes, self.stored.num_bytes)
        return num_bytes < min(_SHORT_BYTES * self.num_values, _MOST_SHORT_BYTES)

    def definition_levels(self) -> FileSlice:
        """Return the definition levels of a DATA_V2 page.

        The repetition levels, which come first, are empty, because nothing is repeated.
        """
        return self.stored.part(int(self.details[6]), int(self.details[5]))


def read_pages(chunk: FileSlice) -> Iterator[Page]:
    """Yield the pages of a column chunk; only their headers are read."""
    offset = 0
    while offset < chunk.num_bytes:
        head = chunk.read(offset, _FIRST_HEADER_BYTES)
        try:
            header, length = read_struct(head, 0)
        except IndexError:
            header, length = read_struct(chunk.read(offset, _MOST_HEADER_BYTES), 0)
        offset += length
        stored = chunk.part(offset, int(header[3]))
        yield Page(header, stored)
        offset += stored.num_bytes


@contextmanager
def open_page(page: Page, codec: str, hold: Hold) -> Iterator[PageBytes]:
    """Yield the decompressed bytes of a page, without the levels that are never compressed.

    Args:
        page: The page.
        codec: The codec of the column.
        hold: A context that is entered while the whole page is in memory.

    Raises:
        UnreadValueError: The page can't be decompressed.

    *Cost:* nothing yet if the page is uncompressed or in Snappy, and its values are not short.
    Otherwise the whole page is read.
    """
    start = page.num_level_bytes
    stored = page.stored.part(start, page.stored.num_bytes - start)
    codec = codec if page.is_compressed else "uncompressed"
    if stored.num_bytes == page.num_bytes == 0:  # only NULLs; some codecs have no empty block
        yield slice_of_bytes(b"")
        return
    if codec in ("uncompressed", "snappy") and not page.is_short:
        yield _open_slices(codec, stored, page.num_bytes)
        return
    if not 0 <= page.num_bytes <= _MOST_HELD_BYTES - stored.num_bytes:
        raise UnreadValueError(
            f"it is in a page of {page.num_bytes / 1e6:,.0f} MB, which {codec} decompresses as a "
            "whole"
        )
    with hold(stored.num_bytes + page.num_bytes):
        data = decompress(codec, stored.read(0, stored.num_bytes), page.num_bytes)
        yield slice_of_bytes(data)


def _open_slices(codec: str, stored: FileSlice, num_bytes: int) -> PageBytes:
    found: PageBytes = SnappySlices(stored) if codec == "snappy" else stored
    if found.num_bytes != num_bytes:
        raise UnreadValueError(FALSE_LENGTH)
    return found
