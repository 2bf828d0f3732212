"""Read pictures of some rows by row position; other rows are not read.

This code runs on the driver or on an executor. It is sent to executors by value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from dedup_lib.executor.bounds import Bounds, MemoryBudget, Meter
from dedup_lib.executor.parquet_values import FileSlice, UnreadValueError, row_groups, values_at
from dedup_lib.executor.parquet_values.column_chunks import LeafColumn, RowGroup
from dedup_lib.executor.parquet_values.file_slices import Hold
from dedup_lib.executor.parquet_values.read_ahead import read_ahead
from dedup_lib.executor.parquet_values.values import StoredValue
from dedup_lib.executor.thumbnails import MOST_ENCODED_BYTES, Thumbnail, drawing

_MOST_TEXT_BYTES = 100_000
_NO_ROW = "the file has no such row"

# Opens a file by its path, spelled as in `FileInfo`.
OpenFile = Callable[[str], AbstractContextManager[FileSlice]]
Texts = Mapping[str, str | None]


@dataclass(frozen=True)
class RowPosition:
    """The position of a row.

    Attributes:
        file_path: The path of the file, spelled as in `FileInfo`.
        row_index: The row's number in the file, counted from 0.
        file_bytes: The size of the file when the row was found; None if it is unknown.
    """

    file_path: str
    row_index: int
    file_bytes: int | None = field(default=None, compare=False)


class RowReader(Protocol):
    """Reads the images and texts of rows, for threads; errors become reasons."""

    def find(self, path: str, rows: Sequence[int], /) -> tuple[Sequence[Any], str]:
        """Divide rows of a file into groups; also return the reason for rows that are in none."""

    def read(self, path: str, group: Any, rows: Sequence[int], /) -> dict[RowPosition, Found]:
        """Read those of the rows that are in a group."""


class RowSource(Protocol):
    """Says what to read of rows."""

    def reader(self, files: Files, drawing: Drawing, memory: MemoryBudget, /) -> RowReader:
        """Return a reader that opens `files`, gives images to `drawing`, and shares the memory."""


@dataclass(frozen=True)
class ReadColumns:
    """The columns of Parquet files to read.

    Attributes:
        image: The column with the encoded image; in a struct, the names from outside to inside.
        texts: Columns of strings, by their names in a `RowPicture`.
    """

    image: LeafColumn
    texts: Mapping[str, LeafColumn]

    def reader(self, files: Files, drawing: Drawing, memory: MemoryBudget) -> RowReader:
        """Return a reader of these columns, as `RowSource` says."""
        return _Reading(self, files, drawing, memory)


@dataclass(frozen=True)
class RowPicture:
    """The picture and texts of a row.

    Attributes:
        thumbnail: A small picture of the image, or the reason why there is no picture.
        size_bytes: The size of the encoded image; None if it is unknown.
        texts: The values of the text columns; None if they were not read.
    """

    thumbnail: Thumbnail
    size_bytes: int | None = None
    texts: Texts | None = None


def unread_picture(reason: str) -> RowPicture:
    """Return the result for a row that can't be read."""
    return RowPicture(Thumbnail(reason=f"not read: {reason}"))


def read_pictures(
    rows: Sequence[RowPosition], source: RowSource, open_file: OpenFile, bounds: Bounds
) -> tuple[dict[RowPosition, RowPicture], int]:
    """Read rows and draw their images, in the order of their files.

    Args:
        rows: The distinct rows. If the size of a file has changed, its rows are not shown.
        source: What to read.
        open_file: Opens a file for one thread at a time.
        bounds: The limits.

    Returns:
        The picture of each row, in the order of the rows, and the number of bytes read. A broken
        file raises no error: a row that can't be read has a reason.

    *Cost:* a footer for each file; for images as `values_at` says; as many row groups at a time as
    there are readers. Memory: as the bounds say, and the images that are being drawn.
    """
    by_file: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_file[row.file_path].append(row.row_index)
    meter = Meter(bounds)
    with (
        drawing() as draw,
        ThreadPoolExecutor(bounds.drawn_at_once) as drawers,
        ThreadPoolExecutor(bounds.readers) as readers,
        _end_on_error(meter),  # this ends before the wait for the threads
    ):
        sizes = {row.file_path: row.file_bytes for row in rows}
        files = Files(open_file, meter, sizes)
        drawn = Drawing(draw, drawers, meter, MemoryBudget(bounds.held_bytes))
        reading = source.reader(files, drawn, MemoryBudget(bounds.held_bytes))
        footers = [(path, readers.submit(reading.find, path, by_file[path])) for path in by_file]
        found: dict[RowPosition, Found] = {}
        reads = []
        for path, footer in footers:
            groups, reason = footer.result()
            found |= {RowPosition(path, row): unread_picture(reason) for row in by_file[path]}
            reads += [readers.submit(reading.read, path, group, by_file[path]) for group in groups]
        for read in reads:
            found |= read.result()
        return {row: _wait_for(found[row]) for row in rows}, meter.read_bytes


# The result for a row. If the picture is still being drawn, it comes later.
Found = RowPicture | tuple[RowPicture, Future[Thumbnail]]


def _wait_for(found: Found) -> RowPicture:
    if isinstance(found, RowPicture):
        return found
    picture, thumbnail = found
    return replace(picture, thumbnail=thumbnail.result())


@contextmanager
def _end_on_error(meter: Meter) -> Iterator[None]:
    """Stop all threads after an error."""
    try:
        yield
    except BaseException:
        meter.end()
        raise


@dataclass(frozen=True)
class Files:
    """Opens files and counts what is read, within the bounds."""

    open_file: OpenFile
    meter: Meter
    sizes: Mapping[str, int | None]

    @contextmanager
    def open(self, path: str) -> Iterator[FileSlice]:
        """Open a file; raise an UnreadValueError if it has another size than planned."""
        self.meter.check_time()
        with self.open_file(path) as file:
            if self.sizes[path] not in (None, file.num_bytes):
                raise UnreadValueError("its file was replaced in the meantime")
            yield FileSlice(self.meter.count(file.read), 0, file.num_bytes)


@dataclass(frozen=True)
class Drawing:
    """Reads images when there is memory for them, and lets threads draw them.

    A thread that draws only returns memory and never waits for it, so there is no deadlock.
    """

    draw: Callable[[bytes | None], Thumbnail]
    drawers: ThreadPoolExecutor
    meter: Meter
    memory: MemoryBudget

    def read_and_draw(self, value: StoredValue | None, texts: Texts | None) -> Found:
        """Read an image and have it drawn, unless it is too large; None is NULL."""
        if value is None:
            return RowPicture(self.draw(None), texts=texts)
        size = value.num_bytes
        if size > MOST_ENCODED_BYTES:
            reason = unread_picture(f"the image has {size / 1e6:,.0f} MB")
            return RowPicture(reason.thumbnail, size, texts)
        self.memory.take(size)
        try:
            thumbnail = self.drawers.submit(self._draw_in_time, value.read())
        except BaseException:
            self.memory.give_back(size)
            raise
        thumbnail.add_done_callback(lambda _: self.memory.give_back(size))
        return RowPicture(Thumbnail(), size, texts), thumbnail

    def _draw_in_time(self, encoded: bytes) -> Thumbnail:
        if self.meter.is_over:
            return Thumbnail(reason="not drawn: the time for pictures was over")
        return self.draw(encoded)


@dataclass(frozen=True)
class _Reading:
    """Reads rows of Parquet files: one file, or one row group of a file, at a time."""

    columns: ReadColumns
    files: Files
    drawing: Drawing
    memory: MemoryBudget

    def find(self, path: str, rows: Sequence[int]) -> tuple[list[RowGroup], str]:
        """Find the row groups of rows; also return the reason for rows that are in no row group."""
        columns = {self.columns.image, *self.columns.texts.values()}
        try:
            with self.files.open(path) as file:
                return row_groups(file, rows, columns, self.memory.hold), _NO_ROW
        except Exception as error:  # a file may be damaged in any way
            return [], reason_of(error)

    def read(self, path: str, group: RowGroup, rows: Sequence[int]) -> dict[RowPosition, Found]:
        """Read the rows that are in a row group."""
        last = group.first_row + group.num_rows
        wanted = sorted(row - group.first_row for row in rows if group.first_row <= row < last)
        found: dict[int, Found] = {}
        texts: Mapping[int, Texts] = {}
        reason = _NO_ROW
        try:
            with self.files.open(path) as file:
                chunks = _Chunks(file, group, path.startswith("file:"), self.memory.hold)
                texts = self._read_texts(chunks, wanted)
                for row, value in chunks.values(self.columns.image, wanted):
                    found[row] = self.drawing.read_and_draw(value, texts.get(row))
        except Exception as error:  # a file may be damaged in any way
            reason = reason_of(error)
        for row in wanted:
            if row not in found:
                found[row] = replace(unread_picture(reason), texts=texts.get(row))
        return {RowPosition(path, group.first_row + row): one for row, one in found.items()}

    def _read_texts(self, chunks: _Chunks, rows: Sequence[int]) -> dict[int, Texts]:
        """Read texts; NULL if the file lacks the column; no texts if one column can't be read."""
        none = dict.fromkeys(self.columns.texts)
        found: dict[int, dict[str, str | None]] = {row: dict(none) for row in rows}
        try:
            for name, column in self.columns.texts.items():
                is_there = column in chunks.group.chunks
                for row, value in chunks.values(column, rows) if is_there else ():
                    found[row][name] = None if value is None else read_text(value)
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
        part = self.file.part(chunk.offset, chunk.num_bytes)
        part = part if self.is_local else read_ahead(part, chunk)
        return values_at(part, chunk, rows, self.hold)


def read_text(value: StoredValue) -> str:
    """Read a text, which must not be too long."""
    if value.num_bytes > _MOST_TEXT_BYTES:
        raise UnreadValueError("a text is too long")
    return value.read().decode("utf-8", errors="replace")


def reason_of(error: Exception) -> str:
    """Return the first line of an error as the reason why something was not read."""
    words = next(iter(str(error).strip().splitlines()), "")
    return words.rstrip(".") or type(error).__name__
