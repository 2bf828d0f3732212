"""Read the footers of Parquet files by pyarrow, wherever that runs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dedup_lib.executor.stores import open_store
from dedup_lib.executor.writer_options import schema_lines

# An object store takes long to answer, and answers many at once.
_THREADS = 8


def read_footers(
    directory: str, files: Sequence[tuple[str, int]], options: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Read the footers of files, up to the first that can't be read here.

    Args:
        directory: A URI.
        files: Path below it and size in bytes of each.
        options: For pyarrow's file systems, but for the local one.

    Returns:
        Of each file a digest of its schema, the same for the same schema, and how many rows it
        has; fewer entries than files where one can't be read, or is of another size: why, the
        driver finds out.
    """
    found: list[tuple[str, int]] = []
    threads = ThreadPoolExecutor(_THREADS)
    with contextlib.suppress(Exception):
        store, path = open_store(directory, options)
        top = path.rstrip("/")
        found.extend(
            threads.map(lambda file: _read_footer(store, f"{top}/{file[0]}", file[1]), files)
        )
    threads.shutdown(cancel_futures=True)
    return found


def _read_footer(store: Any, path: str, size_bytes: int) -> tuple[str, int]:
    from pyarrow import parquet as pq

    with store.open_input_file(path) as stream:
        if stream.size() != size_bytes:
            raise ValueError(f"{path!r} is not the file that was listed")
        metadata = pq.read_metadata(stream)
    schema = metadata.schema
    # Names by themselves, too: in the lines, one may look like another and its type.
    names = [schema.column(index).path for index in range(len(schema))]
    text = repr((schema_lines(schema), names))
    return hashlib.sha256(text.encode()).hexdigest(), metadata.num_rows
