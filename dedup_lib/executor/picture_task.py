"""The work of an executor for pictures over Spark Connect: read rows, draw, pack for the driver."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dedup_lib.executor.bounds import Bounds
from dedup_lib.executor.parquet_values import FileSlice
from dedup_lib.executor.picture_reads import RowPicture, RowPosition, RowSource, read_pictures
from dedup_lib.executor.stores import open_store
from dedup_lib.executor.thumbnails import Thumbnail


def draw_rows(
    rows: Sequence[RowPosition],
    source: RowSource,
    bounds: Bounds,
    ends: float,
    options: Mapping[str, str],
) -> tuple[int, list[tuple[bytes | None, str]]]:
    """Read rows and draw them.

    Args:
        rows: The distinct rows.
        source: What to read of them.
        bounds: The limits.
        ends: The latest end, in seconds since 1970, even if the task began late.
        options: Options for pyarrow's file systems.

    Returns:
        The number of bytes read; and for each row the picture, and all other facts as JSON.
    """
    seconds = min(bounds.most_seconds, ends - time.time())
    pictures, read_bytes = read_pictures(
        rows,
        source,
        lambda path: _open_file(path, options),
        dataclasses.replace(bounds, most_seconds=seconds),
    )
    return read_bytes, [_pack(pictures[row]) for row in rows]


def _pack(picture: RowPicture) -> tuple[bytes | None, str]:
    found: dict[str, Any] = dataclasses.asdict(picture)
    webp = found["thumbnail"].pop("webp")
    return webp, json.dumps(found)


def unpack_picture(webp: bytes | None, facts: str) -> RowPicture:
    """Return the picture and texts of a row as they were before packing."""
    found = json.loads(facts)
    thumbnail = Thumbnail(webp=None if webp is None else bytes(webp), **found.pop("thumbnail"))
    return RowPicture(thumbnail=thumbnail, **found)


@contextmanager
def _open_file(uri: str, options: Mapping[str, str]) -> Iterator[FileSlice]:
    store, path = open_store(uri, options)
    with store.open_input_file(path) as stream:
        yield FileSlice(lambda offset, size: stream.read_at(size, offset), 0, stream.size())
