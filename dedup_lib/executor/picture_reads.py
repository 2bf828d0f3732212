"""Pictures of some rows, by row position: what is between these in their files is not read.

Wherever that runs: on the driver, or on an executor, which is sent this module by value.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from dedup_lib.executor.parquet_values.file_slices import FileSlice, Hold, ReadAt, UnreadValueError
from dedup_lib.executor.parquet_values.pages import StoredValue, values_at
from dedup_lib.executor.parquet_values.row_groups import (
    ColumnChunk,
    LeafColumn,
    RowGroup,
    row_groups,
)
from dedup_lib.executor.thumbnails import MOST_ENCODED_BYTES, Thumbnail, drawing

# A store takes as long for so much as for a byte, or not much longer. Where values are short it is
# asked for several at a time; where they are long, for what is about a page's header and no more.
_SHORT_BYTES = 128 * 1024
_READ_AHEAD_BYTES = {"short": 1024**2, "long": 4 * 1024}
# What Snappy stores is looked into every 64 KB, and others' pages are read whole.
_OTHERS_READ_AHEAD_BYTES = 2 * 1024**2
_MOST_TEXT_BYTES = 100_000

# Opens a file, by its path as `FileInfo` has it.
OpenFile = Callable[[str], AbstractContextManager[FileSlice]]
_Texts = Mapping[str, str | None]


@dataclass(frozen=True)
class RowPlace:
    """A row of a file.

    Attributes:
        file_path: As `FileInfo` has it.
        row_index: Counted from the file's first row.
        file_bytes: How large the file was when the row was found; None where that isn't known.
    """

    file_path: str
    row_index: int
    file_bytes: int | None = field(default=None, compare=False)


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
class Bounds:
    """How much is read, at most, and how much is done at a time.

    Attributes:
        most_bytes: What comes later is not read.
        most_seconds: Likewise; and not drawn.
        drawn_at_once: How many images are drawn at a time.
        readers: How many row groups are read at a time: mostly they wait for a store.
        held_bytes: Memory for encoded images that wait to be drawn, or are; and as much again for
            pages and footers.
    """

    most_bytes: int = 4 * 1024**3
    most_seconds: float = 90.0
    drawn_at_once: int = 2
    readers: int = 32
    held_bytes: int = 256 * 1024**2


@dataclass(frozen=True)
class RowPicture:
    """What is shown of a row.

    Attributes:
        thumbnail: Of its image, or why there is none.
        size_bytes: Of the encoded image; None where that isn't known.
        texts: The text columns; None where they were not read.
    """

    thumbnail: Thumbnail
    size_bytes: int | None = None
    texts: _Texts | None = None


def unread(reason: str) -> RowPicture:
    """Return what is shown of a row that can't be read."""
    return RowPicture(Thumbnail(reason=f"not read: {reason}"))


def read_pictures(
    rows: Sequence[RowPlace], columns: ReadColumns, open_file: OpenFile, bounds: Bounds
) -> tuple[dict[RowPlace, RowPicture], int]:
    """Read rows and draw them, the files that come first before the others.

    Args:
        rows: Each once; of a file that has another size by now nothing is shown.
        columns: What is read of them.
        open_file: How their files are opened; what it gives is used by one thread at a time.
        bounds: When to stop.

    Returns:
        What is shown of each row, in their order: whatever its file is like, no error comes of it.
        And how many bytes were read.

    *Cost:* a footer for each file; of images as `values_at` says; as many row groups at a time as
    there are readers. Memory as the bounds say, and of the images that are being drawn.
    """
    by_file: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_file[row.file_path].append(row.row_index)
    meter = _Meter(bounds)
    with (
        drawing() as draw,
        ThreadPoolExecutor(bounds.drawn_at_once) as drawers,
        ThreadPoolExecutor(bounds.readers) as readers,
        _broken_off(meter),  # before the threads are waited for
    ):
        sizes = {row.file_path: row.file_bytes for row in rows}
        files = _Files(open_file, meter, sizes)
        drawn = _Drawing(draw, drawers, meter, _Room(bounds.held_bytes))
        reading = _Reading(columns, files, drawn, _Room(bounds.held_bytes))
        looked = [(path, readers.submit(reading.look, path, by_file[path])) for path in by_file]
        found: dict[RowPlace, _Found] = {}
        parts = []
        for path, look in looked:
            groups, reason = look.result()
            found |= {RowPlace(path, index): unread(reason) for index in by_file[path]}
            parts += [readers.submit(reading.read, path, group, by_file[path]) for group in groups]
        for part in parts:
            found |= part.result()
        return {row: _picture(found[row]) for row in rows}, meter.read_bytes


# What is read of a row; of an image the drawing, which may not be over.
_Found = RowPicture | tuple[RowPicture, Future[Thumbnail]]


def _picture(found: _Found) -> RowPicture:
    if isinstance(found, RowPicture):
        return found
    picture, thumbnail = found
    return replace(picture, thumbnail=thumbnail.result())


@contextmanager
def _broken_off(meter: _Meter) -> Iterator[None]:
    """Leave nothing of the bounds where the work is broken off."""
    try:
        yield
    except BaseException:
        meter.end()
        raise


class _Meter:
    """What is left of the bounds, for many threads."""

    def __init__(self, bounds: Bounds) -> None:
        self.read_bytes = 0
        self._most_bytes = bounds.most_bytes
        self._ends = time.monotonic() + bounds.most_seconds
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._ends

    def end(self) -> None:
        """Let nothing more be read or drawn."""
        self._ends = 0.0

    def check_time(self) -> None:
        """Check that there is time left.

        Raises:
            UnreadValueError: There is none.
        """
        if self.is_over:
            raise UnreadValueError("the time for reading was over")

    def metered(self, read_at: ReadAt) -> ReadAt:
        """Return a function that reads likewise while something is left."""

        def read(place: int, num_bytes: int) -> bytes:
            self._take(num_bytes)
            data = read_at(place, num_bytes)
            self._take(len(data) - num_bytes)
            return data

        return read

    def _take(self, num_bytes: int) -> None:
        if num_bytes > 0:
            self.check_time()
        with self._lock:
            if self.read_bytes + num_bytes > self._most_bytes:
                raise UnreadValueError(f"{self.read_bytes / 1e9:.1f} GB had been read by then")
            self.read_bytes += num_bytes


class _Room:
    """Memory that many threads share: who asks for more than is left waits for it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._taken_bytes = 0
        self._changed = threading.Condition()

    def take(self, num_bytes: int) -> None:
        """Wait until there is room; for more than there is in all, until nobody has any."""
        with self._changed:
            most = max(self._most_bytes - num_bytes, 0)
            self._changed.wait_for(lambda: self._taken_bytes <= most)
            self._taken_bytes += num_bytes

    def give(self, num_bytes: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._taken_bytes -= num_bytes
            self._changed.notify_all()

    @contextmanager
    def holding(self, num_bytes: int) -> Iterator[None]:
        """Have room, for no part of which others wait who have some."""
        self.take(num_bytes)
        try:
            yield
        finally:
            self.give(num_bytes)


@dataclass(frozen=True)
class _Files:
    """Files that are opened while there is time, of which no more is read than the bounds say."""

    open_file: OpenFile
    meter: _Meter
    sizes: Mapping[str, int | None]

    @contextmanager
    def opened(self, path: str) -> Iterator[FileSlice]:
        self.meter.check_time()
        with self.open_file(path) as file:
            if self.sizes[path] not in (None, file.num_bytes):
                raise UnreadValueError("its file was replaced meanwhile")
            yield FileSlice(self.meter.metered(file.read), 0, file.num_bytes)


@dataclass(frozen=True)
class _Drawing:
    """Threads that draw, which empties the room for images, and needs none of another."""

    draw: Callable[[bytes | None], Thumbnail]
    drawers: ThreadPoolExecutor
    meter: _Meter
    room: _Room

    def drawn(self, value: StoredValue | None, texts: _Texts | None) -> _Found:
        """Read an image once there is room, and have it drawn."""
        if value is None:
            return RowPicture(self.draw(None), texts=texts)
        size = value.num_bytes
        if size > MOST_ENCODED_BYTES:
            return RowPicture(unread(f"it weighs {size / 1e6:,.0f} MB").thumbnail, size, texts)
        self.room.take(size)
        try:
            drawn = self.drawers.submit(self._draw_in_time, value.read())
        except BaseException:
            self.room.give(size)
            raise
        drawn.add_done_callback(lambda _: self.room.give(size))
        return RowPicture(Thumbnail(), size, texts), drawn

    def _draw_in_time(self, encoded: bytes) -> Thumbnail:
        if self.meter.is_over:
            return Thumbnail(reason="not drawn: the time for pictures was over")
        return self.draw(encoded)


@dataclass(frozen=True)
class _Reading:
    """The work of the threads: one file, or one row group of a file, at a time."""

    columns: ReadColumns
    files: _Files
    drawing: _Drawing
    pages: _Room

    def look(self, path: str, indexes: Sequence[int]) -> tuple[list[RowGroup], str]:
        """Look where rows are; and say why those are not read that are nowhere."""
        columns = {self.columns.image, *self.columns.texts.values()}
        try:
            with self.files.opened(path) as file:
                groups = row_groups(file, indexes, columns, self.pages.holding)
                return groups, "there is no such row in its file"
        except Exception as error:  # of whatever a file may be like
            return [], _reason(error)

    def read(self, path: str, group: RowGroup, indexes: Sequence[int]) -> dict[RowPlace, _Found]:
        """Read the rows that are in a row group."""
        last = group.first_row + group.num_rows
        rows = sorted(i - group.first_row for i in indexes if group.first_row <= i < last)
        found: dict[int, _Found] = {}
        texts: Mapping[int, _Texts] = {}
        reason = "there is no such row in its file"
        try:
            with self.files.opened(path) as file:
                chunks = _Chunks(file, group, path.startswith("file:"), self.pages.holding)
                texts = self._texts(chunks, rows)
                for row, value in chunks.values(self.columns.image, rows):
                    found[row] = self.drawing.drawn(value, texts.get(row))
        except Exception as error:  # as above
            reason = _reason(error)
        for row in rows:
            if row not in found:
                found[row] = replace(unread(reason), texts=texts.get(row))
        return {RowPlace(path, group.first_row + row): one for row, one in found.items()}

    def _texts(self, chunks: _Chunks, rows: Sequence[int]) -> dict[int, _Texts]:
        """Read texts of some rows, by row; none where one of the columns can't be read."""
        found: dict[int, dict[str, str | None]] = {row: {} for row in rows}
        try:
            for name, column in self.columns.texts.items():
                for row, value in chunks.values(column, rows):
                    found[row][name] = None if value is None else _text(value)
        except UnreadValueError:
            return {}
        return dict(found)


@dataclass(frozen=True)
class _Chunks:
    """The columns of a row group of an open file."""

    file: FileSlice
    group: RowGroup
    is_local: bool
    hold: Hold

    def values(
        self, column: LeafColumn, rows: Sequence[int]
    ) -> Iterator[tuple[int, StoredValue | None]]:
        chunk = self.group.chunk(column)
        part = self.file.part(chunk.place, chunk.num_bytes)
        return values_at(part if self.is_local else _ahead(part, chunk), chunk, rows, self.hold)


def _ahead(part: FileSlice, chunk: ColumnChunk) -> FileSlice:
    """Ask a store for more than is asked for, and keep that."""
    if chunk.codec != "uncompressed":
        ahead_bytes = _OTHERS_READ_AHEAD_BYTES
    else:
        is_short = chunk.num_bytes < _SHORT_BYTES * chunk.num_values
        ahead_bytes = _READ_AHEAD_BYTES["short" if is_short else "long"]
    return FileSlice(_ReadAhead(part, ahead_bytes), 0, part.num_bytes)


class _ReadAhead:
    """Asks for more than it is asked for, and keeps that."""

    def __init__(self, part: FileSlice, ahead_bytes: int) -> None:
        self._part = part
        self._ahead_bytes = ahead_bytes
        self._place = 0
        self._data = b""

    def __call__(self, place: int, num_bytes: int) -> bytes:
        start = place - self._place
        if start < 0 or start + num_bytes > len(self._data):
            ahead = max(num_bytes, self._ahead_bytes)
            self._place, self._data, start = place, self._part.read(place, ahead), 0
        return self._data[start : start + num_bytes]


def _text(value: StoredValue) -> str:
    if value.num_bytes > _MOST_TEXT_BYTES:
        raise UnreadValueError("a text is too long")
    return value.read().decode("utf-8", errors="replace")


def _reason(error: Exception) -> str:
    words = next(iter(str(error).strip().splitlines()), "")
    return words.rstrip(".") or type(error).__name__
