"""The pages of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from dedup_lib.executor.parquet_values.thrift import read_struct


def pages_of(path: Path) -> list[bytes]:
    """The bytes of each page, without its header, column by column in each row group."""
    data, metadata = path.read_bytes(), pq.read_metadata(path)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    return [page for chunk in chunks for page in _pages_in(data, chunk)]


def same_fraction(path: Path, other: Path) -> float:
    """The part of a file's page bytes that pages of another file also have."""
    known, pages = set(pages_of(other)), pages_of(path)
    return sum(len(page) for page in pages if page in known) / sum(map(len, pages))


def _pages_in(data: bytes, chunk: pq.ColumnChunkMetaData) -> Iterator[bytes]:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    end = start + chunk.total_compressed_size
    while start < end:
        header, first = read_struct(data, start)
        start = first + header[3]
        yield data[first:start]
