"""Pictures of rows of files that pyarrow opens, wherever that runs."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dedup_lib.executor.parquet_values.file_slices import FileSlice
from dedup_lib.executor.picture_reads import (
    Bounds,
    ReadColumns,
    RowPicture,
    RowPlace,
    read_pictures,
)
from dedup_lib.executor.stores import open_store
from dedup_lib.executor.thumbnails import Thumbnail


def draw_rows(
    rows: Sequence[RowPlace],
    columns: ReadColumns,
    bounds: Bounds,
    ends: float,
    options: Mapping[str, str],
) -> tuple[int, list[tuple[bytes | None, str]]]:
    """Read rows and draw them.

    Args:
        rows: Each once.
        columns: What is read of them.
        bounds: When to stop.
        ends: When to stop, too: by the clock, in seconds since 1970, however late it was begun.
        options: For pyarrow's file systems.

    Returns:
        How many bytes were read; of each row the picture, and all else as JSON.
    """
    seconds = min(bounds.most_seconds, ends - time.time())
    pictures, read_bytes = read_pictures(
        rows,
        columns,
        lambda path: _opened(path, options),
        dataclasses.replace(bounds, most_seconds=seconds),
    )
    return read_bytes, [_packed(pictures[row]) for row in rows]


def unpacked(webp: bytes | None, facts: str) -> RowPicture:
    """Return what is shown of a row, as it was before it was sent."""
    found = json.loads(facts)
    thumbnail = Thumbnail(webp=None if webp is None else bytes(webp), **found.pop("thumbnail"))
    return RowPicture(thumbnail=thumbnail, **found)


def _packed(picture: RowPicture) -> tuple[bytes | None, str]:
    found: dict[str, Any] = dataclasses.asdict(picture)
    webp = found["thumbnail"].pop("webp")
    return webp, json.dumps(found)


@contextmanager
def _opened(uri: str, options: Mapping[str, str]) -> Iterator[FileSlice]:
    store, path = open_store(uri, options)
    with store.open_input_file(path) as stream:
        yield FileSlice(lambda place, size: stream.read_at(size, place), 0, stream.size())
