"""Write the files of an ID table."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from dedup_lib.executor.stores import rename_finished

_GROUP_ROWS = 1024**2
_GROUP_BYTES = 64 * 1024**2


def renames_in_one_step(store: Any) -> bool:
    """Tell whether one of pyarrow's file systems has directories, and renames files at once."""
    return store.type_name in {"local", "hdfs"}


def make_directory(store: Any, directory: str) -> None:
    """Make a directory, unless it is in an object store, which has none."""
    if renames_in_one_step(store):
        # Do not make parents: a late attempt must not restore what a failed run deleted.
        store.create_dir(directory, recursive=False)


@contextlib.contextmanager
def named_when_finished(store: Any, directory: str, name: str) -> Iterator[Any]:
    """Yield a stream to a file that gets its name at the end, if no error comes.

    In an object store, whose renames are copies, the finished file is uploaded.
    """
    from pyarrow import fs

    if renames_in_one_step(store):
        make_directory(store, directory)
        partial = f"{directory}/.{uuid.uuid4().hex}"
        with store.open_output_stream(partial) as sink:
            yield sink
        rename_finished(store, partial, f"{directory}/{name}")
        return
    local = fs.LocalFileSystem()
    with tempfile.TemporaryDirectory(prefix="remove-duplicates-") as folder:
        partial = f"{folder}/{name}"
        with local.open_output_stream(partial) as sink:
            yield sink
        target = f"{directory}/{name}"
        fs.copy_files(partial, target, source_filesystem=local, destination_filesystem=store)


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
