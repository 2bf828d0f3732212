"""What the arrow engine is asked to do to one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dedup_lib.executor.file_task import FileTask
from dedup_lib.executor.kept_rows import Bitmap


def bitmap(*rows: int, checksum: int | None = None) -> list[Bitmap]:
    """The rows that go, as the plan's bitmaps; the first one has the checksum of all."""
    buckets: dict[int, bytearray] = {}
    for row in rows:
        bits = buckets.setdefault(row // 32_768, bytearray(4096))
        bits[row % 32_768 // 8] |= 1 << row % 8
    made = [Bitmap(bucket, bytes(bits).rstrip(b"\0")) for bucket, bits in buckets.items()]
    return [made[0]._replace(checksum=checksum), *made[1:]] if made else []


def task(folder: Path, source: Path, **changed: Any) -> FileTask:
    """Rewrite a file to one of its name in `out`."""
    values = {
        "source": f"file:{source}",
        "target": f"file:{folder}/out/{source.name}",
        "partial_directory": f"file:{folder}/partial",
        "size_bytes": source.stat().st_size,
        "keeps_empty": False,
    }
    if "num_rows" not in changed:
        values["num_rows"] = pq.read_metadata(source).num_rows
    return FileTask(**(values | changed))
