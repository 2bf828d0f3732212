"""Check that the rows to remove from a file have the IDs of the plan."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from dedup_lib.executor.footers import count_rows
from dedup_lib.executor.kept_rows import Bitmap, by_row_group, name_file_in_errors, with_marks
from dedup_lib.executor.stores import FileRefusedError

_BATCH_ROWS = 65_536


def check_ids(
    file: Any, is_removed: Any, bitmaps: Sequence[Bitmap], id_column: str, source: str
) -> None:
    """Compare the IDs of the rows to remove with those of the plan, by the sums of their CRC-32.

    Spark found the positions. If it read a file in another way than pyarrow, other rows would go.

    Args:
        file: pyarrow's reader.
        is_removed: For each row of the file, whether it is removed.
        bitmaps: The removed rows, with the checksums of their planned IDs.
        id_column: The column of the image ID.
        source: The name of the file in messages.

    Raises:
        FileRefusedError: The IDs differ.
        FileReadError: The file can't be read.

    *Cost:* the IDs of the row groups that lose rows are read.
    """
    planned = [part.checksum for part in bitmaps if part.checksum is not None]
    if not planned:
        return
    found = sum(map(zlib.crc32, _removed_ids(file, is_removed, id_column, source)))
    if found != sum(planned):
        raise FileRefusedError(
            "ids",
            f"file {source!r} has other IDs at the positions of removed rows than the plan: it was "
            "changed, or Spark or pyarrow reads it wrongly. Nothing was published. Run again. If "
            "that fails, too, use another version of Spark or of pyarrow, not another engine.",
        )


def rows_with_ids(file: Any, planned_ids: Sequence[bytes], id_column: str, source: str) -> Any:
    """Return for each row whether it has a planned ID, for tables without positions.

    Args:
        file: pyarrow's reader.
        planned_ids: The bytes of the ID of each planned row, or the digits of a number.
        id_column: The column of the image ID; it need not be there if no row is planned.
        source: The name of the file in messages.

    Raises:
        FileRefusedError: The file has another number of such rows than the plan.
        FileReadError: The file can't be read.

    *Cost:* if a row is planned, all IDs are read.
    """
    import pyarrow as pa

    num_rows = count_rows(file.metadata)
    if not planned_ids:
        return pa.array([False] * num_rows, pa.bool_())
    wanted = set(map(bytes, planned_ids))
    every = pa.array([True] * num_rows, pa.bool_())
    found = [one in wanted for one in _removed_ids(file, every, id_column, source)]
    if sum(found) != len(planned_ids):
        raise FileRefusedError(
            "ids",
            f"file {source!r} has {sum(found)} rows with the IDs of its {len(planned_ids)} planned "
            "rows: it was changed, or Spark or pyarrow reads it wrongly. Nothing was published. "
            "Run again.",
        )
    return pa.array(found, pa.bool_())


def _removed_ids(file: Any, is_removed: Any, id_column: str, source: str) -> Iterator[bytes]:
    for index, in_group in by_row_group(file, is_removed):
        if not in_group.true_count:
            continue
        with name_file_in_errors(source):
            batches = file.iter_batches(
                _BATCH_ROWS, row_groups=[index], columns=[id_column], use_threads=False
            )
            for batch, in_batch in with_marks(batches, in_group):
                ids = batch.column(batch.schema.get_field_index(id_column))
                yield from _selected(ids, in_batch)


def _selected(ids: Any, is_selected: Any) -> Iterator[bytes]:
    import pyarrow as pa

    try:
        return _as_bytes(ids.filter(is_selected))
    except pa.ArrowNotImplementedError:  # for example string views
        return itertools.compress(_as_bytes(ids), is_selected.to_pylist())


def _as_bytes(ids: Any) -> Iterator[bytes]:
    """Yield the bytes of text and binary IDs, and the digits of numbers; NULL as no byte."""
    import pyarrow as pa

    if isinstance(ids, pa.ExtensionArray):
        ids = ids.storage
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    if pa.types.is_duration(ids.type):  # Spark reads them as integers
        ids = ids.cast(pa.int64())
    if pa.types.is_decimal(ids.type):
        return (b"" if value is None else b"%d" % int(value) for value in ids.to_pylist())
    if pa.types.is_integer(ids.type):
        ids = ids.cast(pa.string())
    try:
        return (value or b"" for value in ids.cast(pa.large_binary()).to_pylist())
    except pa.ArrowNotImplementedError:  # for example string views; not as texts: some are no UTF-8
        return (value.as_buffer().to_pybytes() if value.is_valid else b"" for value in ids)
