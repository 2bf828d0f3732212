"""Read the footers of Parquet files by pyarrow, wherever that runs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dedup_lib.arrow_options import schema_lines
from dedup_lib.arrow_stores import open_store

# An object store takes long to answer, and answers many at once.
_THREADS = 8


def read_footers(
    directory: str, names: Sequence[str], options: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Read the footers of files, up to the first that can't be read here.

    Args:
        directory: A URI.
        names: The files' paths below it.
        options: For pyarrow's file systems, but for the local one.

    Returns:
        Of each file a digest of its schema, the same for the same schema, and how many rows it
        has; fewer entries than names where one can't be read: why, the driver finds out.
    """
    found: list[tuple[str, int]] = []
    threads = ThreadPoolExecutor(_THREADS)
    with contextlib.suppress(Exception):
        store, path = open_store(directory, options)
        paths = [f"{path.rstrip('/')}/{name}" for name in names]
        found.extend(threads.map(lambda path: _read_footer(store, path), paths))
    threads.shutdown(cancel_futures=True)
    return found


def _read_footer(store: Any, path: str) -> tuple[str, int]:
    from pyarrow import parquet as pq

    with store.open_input_file(path) as stream:
        metadata = pq.read_metadata(stream)
    lines = "\n".join(schema_lines(metadata.schema))
    return hashlib.sha256(lines.encode()).hexdigest(), metadata.num_rows
