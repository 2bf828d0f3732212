"""The rows of one Parquet file that stay, by pyarrow, in batches bounded in bytes."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_BITMAP_ROWS = 32_768
_BITMAP_BYTES = _BITMAP_ROWS // 8
_BATCH_BYTES = 8 * 1024**2
_MOST_BATCH_BYTES = 64 * 1024**2
_MOST_BATCH_ROWS = 65_536
_TRIAL_ROWS = 64
_ROW_GROUP_BYTES = 128 * 1024**2
_READ_BUFFERS_BYTES = 32 * 1024**2
_MOST_READ_BUFFER_BYTES = 1024**2


class Keeper(NamedTuple):
    """The surviving keeper of the row at a position in its 32,768 rows; a string as its bytes."""

    position: int
    keeper_id: bytes | int


class Bitmap(NamedTuple):
    """Bit n of `bitmap`: row n of the `bucket`-th 32,768 rows goes. Trimmed after the last set."""

    bucket: int
    bitmap: bytes
    keepers: Sequence[Keeper] = ()


class FileReadError(Exception):
    """A file can't be read, which a second try may mend; the message names it."""


def open_file(stream: Any) -> Any:
    """Return pyarrow's reader of a Parquet file, whose buffers stay small with many columns."""
    from pyarrow import parquet as pq

    metadata = pq.read_metadata(stream)
    columns = max(1, metadata.num_columns)
    return pq.ParquetFile(
        stream,
        metadata=metadata,
        pre_buffer=False,
        buffer_size=max(64 * 1024, min(_MOST_READ_BUFFER_BYTES, _READ_BUFFERS_BYTES // columns)),
        page_checksum_verification=True,
        coerce_int96_timestamp_unit="us",
    )


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    """Name the file in errors of pyarrow's."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise FileReadError(f"pyarrow can't read file {source!r}: {error}") from error


def rows_to_remove(bitmaps: Sequence[Bitmap], num_rows: int) -> Any:
    """Return one boolean a row: whether it goes."""
    import pyarrow as pa

    bits = bytearray((num_rows + 7) // 8)
    for part in bitmaps:
        start = part.bucket * _BITMAP_BYTES
        bits[start : start + len(part.bitmap)] = part.bitmap
    goes = pa.BooleanArray.from_buffers(pa.bool_(), num_rows, [None, pa.py_buffer(bytes(bits))])
    if goes.true_count != sum(int.from_bytes(part.bitmap).bit_count() for part in bitmaps):
        raise RuntimeError(f"a row past the {num_rows} of the file is to go")
    return goes


def keepers_by_row(bitmaps: Sequence[Bitmap]) -> dict[int, bytes | int]:
    """Return the surviving keeper of each row that has one, by row index."""
    return {
        bitmap.bucket * _BITMAP_ROWS + keeper.position: keeper.keeper_id
        for bitmap in bitmaps
        for keeper in bitmap.keepers
    }


def kept_row_groups(file: Any, goes: Any, source: str) -> Iterator[Any]:
    """Yield the rows that stay, row group by row group; what is too heavy for one in parts."""
    import pyarrow as pa

    start = 0
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        wanted = goes.slice(start, group.num_rows)
        start += group.num_rows
        if wanted.true_count == group.num_rows:
            continue
        kept, kept_bytes, offset = [], 0, 0
        for batch in _batches(file, index, source):
            part = wanted.slice(offset, batch.num_rows)
            offset += batch.num_rows
            rows = _without(batch, part)
            kept += rows
            kept_bytes += min(batch.nbytes, sum(run.nbytes for run in rows))
            if kept_bytes >= _ROW_GROUP_BYTES:
                yield pa.Table.from_batches(kept)
                kept, kept_bytes = [], 0
        if sum(batch.num_rows for batch in kept):
            yield pa.Table.from_batches(kept)


def _batches(file: Any, row_group: int, source: str) -> Iterator[Any]:
    with reading(source):
        rows = _batch_rows(file, row_group)
        yield from file.iter_batches(rows, row_groups=[row_group], use_threads=False)


def _batch_rows(file: Any, row_group: int) -> int:
    """Return how many rows weigh about as much as a batch should."""
    group = file.metadata.row_group(row_group)
    rows: int = min(group.num_rows, _rows_for(_BATCH_BYTES, group.total_byte_size, group.num_rows))
    chunks = [group.column(index) for index in range(group.num_columns)]
    # A value of a dictionary is in the file once, and in a batch as often as rows have it.
    packed = [chunk for chunk in chunks if chunk.has_dictionary_page]
    if rows * sum(chunk.total_uncompressed_size for chunk in packed) <= _MOST_BATCH_BYTES:
        return rows
    columns = [chunk.path_in_schema for chunk in packed]
    first = next(file.iter_batches(_TRIAL_ROWS, row_groups=[row_group], columns=columns))
    weighed = _rows_for(_BATCH_BYTES, first.nbytes, first.num_rows)
    return min(rows, weighed)


def _rows_for(num_bytes: int, found_bytes: int, found_rows: int) -> int:
    """Return how many rows weigh so much, where some were found that weigh something."""
    return max(1, min(_MOST_BATCH_ROWS, num_bytes * found_rows // max(1, found_bytes)))


def inverted(goes: Any) -> Any:
    """Return the opposite of each boolean."""
    from pyarrow import compute as pc

    return pc.invert(goes)


def _without(batch: Any, goes: Any) -> list[Any]:
    """Return the rows that stay, in as few batches as pyarrow can."""
    import pyarrow as pa

    if goes.true_count == 0:
        return [batch]
    try:
        return [batch.filter(inverted(goes))]
    except pa.ArrowNotImplementedError:  # of string views, for one
        return list(_runs_without(batch, goes))


def _runs_without(batch: Any, goes: Any) -> Iterator[Any]:
    """Yield the rows that stay as slices, which every type has."""
    start = 0
    for is_gone, run in itertools.groupby(goes.to_pylist()):
        length = sum(1 for _ in run)
        if not is_gone:
            yield batch.slice(start, length)
        start += length
