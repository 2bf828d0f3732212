"""Write the files of an ID table."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from dedup_lib.executor.stores import rename_finished

_GROUP_ROWS = 1024**2
_GROUP_BYTES = 64 * 1024**2


@contextlib.contextmanager
def named_when_finished(store: Any, directory: str, name: str) -> Iterator[Any]:
    """Yield a stream to a hidden file, which gets its name at the end, if no error comes."""
    # Do not make parents: a late attempt must not restore directories that a failed run deleted.
    store.create_dir(directory, recursive=False)
    partial = f"{directory}/.{uuid.uuid4().hex}"
    with store.open_output_stream(partial) as sink:
        yield sink
    rename_finished(store, partial, f"{directory}/{name}")


def write_rows(sink: Any, batches: Iterable[Any]) -> None:
    """Write batches in row groups of a useful size, without statistics."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    writer: Any = None
    try:
        for group in _grouped(batches):
            table = pa.Table.from_batches(group)
            if writer is None:
                writer = pq.ParquetWriter(
                    sink,
                    table.schema,
                    compression="snappy",
                    store_schema=False,
                    use_dictionary=["file_path"],
                    column_encoding={"row_index": "DELTA_BINARY_PACKED"},
                    write_statistics=False,
                )
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    finally:
        if writer is not None:
            writer.close()


def _grouped(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    num_rows = num_bytes = 0
    for batch in batches:
        group.append(batch)
        num_rows += batch.num_rows
        num_bytes += batch.column(0).nbytes
        if num_rows >= _GROUP_ROWS or num_bytes >= _GROUP_BYTES:
            yield group
            group, num_rows, num_bytes = [], 0, 0
    if group:
        yield group
