"""Some rows' images and texts, by row position: what is between them is not read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dedup_lib.errors import DedupError
from dedup_lib.file_slices import FileSlice, ReadAt
from dedup_lib.files import ColumnChunk, RowGroup
from dedup_lib.parquet_pages import UnreadValueError, Value, values_at
from dedup_lib.snappy_slices import SnappyError
from dedup_lib.storage import Storage
from dedup_lib.thumbnails import MOST_ENCODED_BYTES
from dedup_lib.uris import scheme_of

LeafColumn = tuple[str, ...]
# A store is asked for so much at a time, where a walk from value to value comes near it anyway.
_READ_AHEAD_BYTES = {"uncompressed": 16 * 1024}
_OTHERS_READ_AHEAD_BYTES = 2 * 1024**2
_MOST_TEXT_BYTES = 100_000
# Whatever a damaged page may lead to.
_PAGE_ERRORS = (SnappyError, IndexError, KeyError, OverflowError, ValueError)


@dataclass(frozen=True)
class RowPlace:
    """A row of a file: its path as `FileInfo` has it, and its place from the file's first row."""

    file_path: str
    row_index: int


@dataclass(frozen=True)
class ReadColumns:
    """What is read of rows.

    Attributes:
        image: The column with the encoded image; of a struct the names from outside to inside.
        texts: Columns of strings, by the names that they are to be given.
    """

    image: LeafColumn
    texts: Mapping[str, LeafColumn]


@dataclass(frozen=True)
class RowRead:
    """What was read of a row.

    Attributes:
        image: The encoded image; None for a NULL, and where there is a reason.
        reason: Why it was not read.
        texts: The text columns; None where they were not read.
    """

    image: bytes | None = field(default=None, repr=False)
    reason: str | None = None
    texts: Mapping[str, str | None] | None = None


@dataclass
class Bounds:
    """How much is read, at most, and how much was.

    Attributes:
        most_bytes: What comes later is not read.
        most_seconds: Likewise.
        read_bytes: Read so far.
    """

    most_bytes: int = 4 * 1024**3
    most_seconds: float = 90.0
    read_bytes: int = 0
    _started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Check that there is some left of both.

        Raises:
            UnreadValueError: There isn't.
        """
        if self.read_bytes > self.most_bytes:
            raise UnreadValueError(f"{self.read_bytes / 1e9:.1f} GB had been read by then")
        if time.monotonic() - self._started > self.most_seconds:
            raise UnreadValueError("the time for reading was over")


def read_rows(
    storage: Storage,
    rows: Sequence[RowPlace],
    columns: ReadColumns,
    bounds: Bounds,
) -> Iterator[tuple[RowPlace, RowRead]]:
    """Read rows one after the other, file by file; the file of the first row first.

    Args:
        storage: Where the files are.
        rows: Each once.
        columns: What is read of them.
        bounds: When to stop reading; it says afterwards how much was read.

    Returns:
        Each row, and what was read of it: whatever the file is like, no error comes of it.

    *Cost:* a footer for each file; of images as `values_at` says; one is held at a time.
    """
    by_file: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_file[row.file_path].append(row.row_index)
    for path, indexes in by_file.items():
        left = set(indexes)
        reason = "there is no such row in its file"
        try:
            bounds.check()
            for index, read in _rows_of_file(storage, path, indexes, columns, bounds):
                left.discard(index)
                yield RowPlace(path, index), read
        except (DedupError, OSError, *_PAGE_ERRORS) as error:
            reason = _reason(error)
        for index in sorted(left):
            yield RowPlace(path, index), RowRead(reason=f"not read: {reason}")


def _rows_of_file(
    storage: Storage,
    path: str,
    indexes: Sequence[int],
    columns: ReadColumns,
    bounds: Bounds,
) -> Iterator[tuple[int, RowRead]]:
    leaves = {columns.image, *columns.texts.values()}
    groups = storage.row_groups(path, indexes, leaves)
    with storage.opened(path) as read_at:
        file = _File(read_at, bounds, is_local=scheme_of(path) == "file")
        for group in groups:
            last = group.first_row + group.num_rows
            rows = sorted(i - group.first_row for i in indexes if group.first_row <= i < last)
            said = file.texts(group, columns.texts, rows)
            for row, value in file.values(group, columns.image, rows, MOST_ENCODED_BYTES):
                yield group.first_row + row, _row_read(value, said.get(row))


def _row_read(value: Value, texts: Mapping[str, str | None] | None) -> RowRead:
    if isinstance(value, UnreadValueError):
        return RowRead(reason=f"not read: {value}", texts=texts)
    return RowRead(image=value, texts=texts)


@dataclass(frozen=True)
class _File:
    """An open file, and what may still be read."""

    read_at: ReadAt
    bounds: Bounds
    is_local: bool

    def texts(
        self, group: RowGroup, columns: Mapping[str, LeafColumn], rows: Sequence[int]
    ) -> dict[int, dict[str, str | None]]:
        """Read texts of some rows, by row; none where one of the columns can't be read."""
        found: dict[int, dict[str, str | None]] = {row: {} for row in rows}
        try:
            for name, column in columns.items():
                for row, value in self.values(group, column, rows, _MOST_TEXT_BYTES):
                    found[row][name] = _text(value)
        except (UnreadValueError, *_PAGE_ERRORS):
            return {}
        return found

    def values(
        self, group: RowGroup, column: LeafColumn, rows: Sequence[int], most_bytes: int
    ) -> Iterator[tuple[int, Value]]:
        if column not in group.chunks:
            raise UnreadValueError(f"the file has no column {'.'.join(column)!r}")
        chunk = group.chunks[column]
        part = FileSlice(self._reader(chunk), chunk.place, chunk.num_bytes)
        left = set(rows)
        try:
            for row, value in values_at(part, chunk, rows, most_bytes):
                left.discard(row)
                yield row, value
        except _PAGE_ERRORS as error:
            unread = UnreadValueError(_reason(error))
            yield from ((row, unread) for row in sorted(left))

    def _reader(self, chunk: ColumnChunk) -> ReadAt:
        if self.is_local:
            return self._metered
        ahead = _READ_AHEAD_BYTES.get(chunk.codec, _OTHERS_READ_AHEAD_BYTES)
        return _ReadAhead(self._metered, chunk.place + chunk.num_bytes, ahead)

    def _metered(self, place: int, num_bytes: int) -> bytes:
        self.bounds.check()
        data = self.read_at(place, num_bytes)
        self.bounds.read_bytes += len(data)
        return data


class _ReadAhead:
    """Asks for more than it is asked for, and keeps that."""

    def __init__(self, read_at: ReadAt, end: int, ahead_bytes: int) -> None:
        self._read_at = read_at
        self._end = end
        self._ahead_bytes = ahead_bytes
        self._place = 0
        self._data = b""

    def __call__(self, place: int, num_bytes: int) -> bytes:
        start = place - self._place
        if start < 0 or start + num_bytes > len(self._data):
            ahead = min(max(num_bytes, self._ahead_bytes), self._end - place)
            self._place, self._data, start = place, self._read_at(place, ahead), 0
        return self._data[start : start + num_bytes]


def _text(value: Value) -> str | None:
    if isinstance(value, UnreadValueError):
        raise value
    return None if value is None else value.decode("utf-8", errors="replace")


def _reason(error: Exception) -> str:
    if isinstance(error, UnreadValueError | DedupError):
        return str(error).rstrip(".")
    return f"its file is damaged ({type(error).__name__}: {error})"
