"""Read the rows of a Parquet file that stay, with pyarrow, in batches of a bounded size."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

_BITMAP_ROWS = 32_768
_BITMAP_BYTES = _BITMAP_ROWS // 8
_BATCH_BYTES = 8 * 1024**2
_MOST_BATCH_BYTES = 64 * 1024**2
_MOST_BATCH_ROWS = 65_536
_TRIAL_ROWS = 64
_MOST_TRIAL_BYTES = 4 * 1024**2
_LONG_ROW_BYTES = 16 * 1024
# The most row groups of a file that are examined.
_ROW_GROUPS = 16
_ROW_GROUP_BYTES = 128 * 1024**2
_READ_BUFFERS_BYTES = 32 * 1024**2
_MOST_READ_BUFFER_BYTES = 1024**2
# A request to an object store costs as much time as some megabytes.
_MOST_REQUESTED_BYTES = 16 * 1024**2


class Keeper(NamedTuple):
    """The surviving keeper of a removed row.

    Attributes:
        position: The position of the row within its bucket of 32,768 rows.
        keeper_id: The ID of the keeper; for a string or binary ID its bytes.
    """

    position: int
    keeper_id: bytes | int | Decimal


class Bitmap(NamedTuple):
    """A bitmap that says which of 32,768 rows are removed.

    Attributes:
        bucket: The number of the bucket; bucket 0 has the first 32,768 rows of the file.
        bitmap: Bit n is set if row n of the bucket is removed. Zero bytes at the end are left out.
        checksum: The sum of the CRC-32 of the planned IDs of these rows; None if it is not known.
        keepers: The surviving keepers of removed rows.
    """

    bucket: int
    bitmap: bytes
    checksum: int | None = None
    keepers: Sequence[Keeper] = ()


class FileReadError(Exception):
    """A file can't be read, but a retry may help. The message names the file."""


def open_file(stream: Any, int96_unit: str = "us", *, is_remote: bool = False) -> Any:
    """Return pyarrow's reader of a Parquet file; the more columns, the smaller the buffers.

    Args:
        stream: The file, opened.
        int96_unit: The unit of INT96 timestamps: `us` holds all years, `ns` all digits.
        is_remote: Whether each read is a request to an object store.
    """
    from pyarrow import parquet as pq

    metadata = pq.read_metadata(stream)
    return pq.ParquetFile(
        stream,
        metadata=metadata,
        pre_buffer=False,
        buffer_size=_buffer_bytes(metadata, is_remote=is_remote),
        page_checksum_verification=True,
        coerce_int96_timestamp_unit=int96_unit,
    )


def first_row_groups(metadata: Any) -> list[Any]:
    """Return the first row groups of a file, by which the others are judged."""
    return [metadata.row_group(n) for n in range(min(metadata.num_row_groups, _ROW_GROUPS))]


def _buffer_bytes(metadata: Any, *, is_remote: bool) -> int:
    """Return the size of a column's buffer; pyarrow makes none larger than the column's chunk."""
    columns: int = max(1, metadata.num_columns)
    buffer = _READ_BUFFERS_BYTES // columns
    buffer = max(64 * 1024, min(_MOST_READ_BUFFER_BYTES, buffer))
    if is_remote:
        groups = first_row_groups(metadata)
        chunks = [
            max((group.column(index).total_compressed_size for group in groups), default=0)
            for index in range(metadata.num_columns)
        ]
        while buffer < _MOST_REQUESTED_BYTES:
            if sum(min(2 * buffer, chunk) for chunk in chunks) > _READ_BUFFERS_BYTES:
                break
            buffer *= 2
    return buffer


@contextlib.contextmanager
def name_file_in_errors(source: str) -> Iterator[None]:
    """Turn pyarrow's errors into errors that name the file.

    Raises:
        FileReadError: pyarrow can't read the file.
    """
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise FileReadError(f"pyarrow can't read file {source!r}: {reason}") from error


def rows_to_remove(bitmaps: Sequence[Bitmap], num_rows: int) -> Any:
    """Return for each row whether it is removed."""
    import pyarrow as pa

    bits = bytearray((num_rows + 7) // 8)
    for part in bitmaps:
        start = part.bucket * _BITMAP_BYTES
        bits[start : start + len(part.bitmap)] = part.bitmap
    buffers = [None, pa.py_buffer(bytes(bits))]
    is_removed = pa.BooleanArray.from_buffers(pa.bool_(), num_rows, buffers)
    if is_removed.true_count != sum(int.from_bytes(part.bitmap).bit_count() for part in bitmaps):
        raise RuntimeError(f"the plan removes a row after the last of the {num_rows} rows")
    return is_removed


def keepers_by_row(bitmaps: Sequence[Bitmap]) -> dict[int, bytes | int | Decimal]:
    """Return the surviving keepers of removed rows, by row index."""
    return {
        bitmap.bucket * _BITMAP_ROWS + keeper.position: keeper.keeper_id
        for bitmap in bitmaps
        for keeper in bitmap.keepers
    }


def by_row_group(file: Any, is_removed: Any) -> Iterator[tuple[int, Any]]:
    """Yield the number of each row group, and for each of its rows whether it is removed."""
    start = 0
    for index in range(file.metadata.num_row_groups):
        num_rows = file.metadata.row_group(index).num_rows
        yield index, is_removed.slice(start, num_rows)
        start += num_rows


def with_marks(batches: Iterable[Any], is_removed: Any) -> Iterator[tuple[Any, Any]]:
    """Yield batches of rows, and for each row of a batch whether it is removed."""
    offset = 0
    for batch in batches:
        yield batch, is_removed.slice(offset, batch.num_rows)
        offset += batch.num_rows


def kept_row_groups(
    file: Any, is_removed: Any, source: str, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """Yield the rows that stay, row group by row group; a large row group comes in parts.

    Args:
        file: pyarrow's reader.
        is_removed: For each row of the file, whether it is removed.
        source: The name of the file in messages.
        columns: The columns to read; None for all.
    """
    import pyarrow as pa

    for index, in_group in by_row_group(file, is_removed):
        if in_group.true_count == len(in_group):
            continue
        kept, kept_bytes = [], 0
        for batch, in_batch in with_marks(_batches(file, index, source, columns), in_group):
            rows = _drop_removed(batch, in_batch)
            kept += rows
            kept_bytes += min(batch.nbytes, sum(run.nbytes for run in rows))
            if kept_bytes >= _ROW_GROUP_BYTES:
                yield pa.Table.from_batches(kept)
                kept, kept_bytes = [], 0
        if sum(batch.num_rows for batch in kept):
            yield pa.Table.from_batches(kept)


def _batches(
    file: Any, row_group: int, source: str, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    with name_file_in_errors(source):
        rows = _batch_rows(file, row_group)
        yield from file.iter_batches(
            rows, row_groups=[row_group], columns=columns, use_threads=False
        )


def _batch_rows(file: Any, row_group: int) -> int:
    """Return how many rows have about the size of a batch."""
    group = file.metadata.row_group(row_group)
    rows: int = min(group.num_rows, _rows_in(_BATCH_BYTES, group.total_byte_size, group.num_rows))
    chunks = [group.column(index) for index in range(group.num_columns)]
    # A dictionary value is stored once in the file, but in a batch once for each row with it.
    with_dictionary = [chunk for chunk in chunks if chunk.has_dictionary_page]
    dictionary_bytes = sum(map(_dictionary_bytes, with_dictionary))
    if rows * dictionary_bytes <= _MOST_BATCH_BYTES:
        return rows
    is_long = group.total_byte_size > _LONG_ROW_BYTES * group.num_rows
    if is_long and dictionary_bytes > _MOST_TRIAL_BYTES:  # a trial would read it twice
        return min(rows, _TRIAL_ROWS)
    columns = [chunk.path_in_schema for chunk in with_dictionary]
    trial = next(file.iter_batches(_TRIAL_ROWS, row_groups=[row_group], columns=columns))
    return min(rows, _rows_in(_BATCH_BYTES, trial.nbytes, trial.num_rows))


def _dictionary_bytes(chunk: Any) -> int:
    """Estimate the most bytes of a dictionary; compression hardly makes another page larger."""
    start, end = chunk.dictionary_page_offset, chunk.data_page_offset
    others = chunk.total_compressed_size - (end - start) if 0 < start < end else 0
    most: int = chunk.total_uncompressed_size - max(0, others)
    return max(0, most)


def _rows_in(num_bytes: int, sample_bytes: int, sample_rows: int) -> int:
    """Estimate from a sample how many rows take `num_bytes` bytes."""
    return max(1, min(_MOST_BATCH_ROWS, num_bytes * sample_rows // max(1, sample_bytes)))


def invert(booleans: Any) -> Any:
    """Return the opposite of each boolean."""
    from pyarrow import compute as pc

    return pc.invert(booleans)


def _drop_removed(batch: Any, is_removed: Any) -> list[Any]:
    """Return the rows that stay, in as few batches as pyarrow allows."""
    import pyarrow as pa

    if is_removed.true_count == 0:
        return [batch]
    try:
        return [batch.filter(invert(is_removed))]
    except pa.ArrowNotImplementedError:  # for example with string views
        return list(_slice_kept(batch, is_removed))


def _slice_kept(batch: Any, is_removed: Any) -> Iterator[Any]:
    """Yield the rows that stay as slices, which work for every type."""
    start = 0
    for removed, run in itertools.groupby(is_removed.to_pylist()):
        length = sum(1 for _ in run)
        if not removed:
            yield batch.slice(start, length)
        start += length
