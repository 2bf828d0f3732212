"""Seeded tables and removal lists, made once and kept by their parameters.

Images are random bytes, so nothing compresses them; the files are as pyarrow writes them by
default: snappy, dictionaries tried, row groups of about 64 MB.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = 5
SPREAD = 0.4  # an image weighs this share more or less than the mean, evenly spread
ROW_GROUP_BYTES = 64 * 1024**2
ROW_GROUP_ROWS = 1024**2
LIST_FILES = 8
CAPTIONS = pa.array([f"a picture of thing {number}" for number in range(1000)])


@dataclass(frozen=True)
class Workload:
    """An image table and a removal list for it.

    Attributes:
        rows: Image rows.
        image_bytes: What an image weighs in the mean.
        files: Files of the image table.
        partitions: Hive partitions that the files are spread over; 0: a flat directory.
        removed_fraction: The share of the rows that the list names, each once.
        list_entries: Entries of the list; those that match no row come on top; 0: none.
    """

    rows: int
    image_bytes: int
    files: int = 24
    partitions: int = 0
    removed_fraction: float = 0.3
    list_entries: int = 0

    @property
    def removed_rows(self) -> int:
        return round(self.rows * self.removed_fraction)

    @property
    def kept_rows(self) -> int:
        return self.rows - self.removed_rows

    @property
    def entries(self) -> int:
        return max(self.list_entries, self.removed_rows)

    @property
    def title(self) -> str:
        weight = f"{self.image_bytes / 1000:,g} KB" if self.image_bytes >= 1000 else "tiny"
        partitions = f" in {self.partitions} partitions" if self.partitions else ""
        return (
            f"{self.rows:,} images of {weight}, {self.files:,} files{partitions}; "
            f"{self.entries:,} IDs listed, {self.removed_rows:,} rows removed"
        )

    @property
    def table_name(self) -> str:
        return f"images-{self.rows}-{self.image_bytes}-{self.files}-{self.partitions}"

    @property
    def list_name(self) -> str:
        return f"list-{self.rows}-{self.removed_rows}-{self.entries}"


@dataclass(frozen=True)
class Made:
    """Where a workload lies, and what it weighs."""

    workload: Workload
    images: Path
    duplicate_ids: Path
    file_bytes: int

    @property
    def kept_bytes(self) -> int:
        return self.file_bytes * self.workload.kept_rows // self.workload.rows

    @property
    def kept_image_bytes(self) -> int:
        """What the kept images weigh at the least, in the mean."""
        return int(self.workload.kept_rows * self.workload.image_bytes * 0.9)


def make(workload: Workload, folder: Path) -> Made:
    """Make a workload in a folder, unless it is there."""
    images = once(folder / workload.table_name, lambda path: _write_images(workload, path))
    duplicates = once(folder / workload.list_name, lambda path: _write_list(workload, path))
    return Made(workload, images, duplicates, size_of(images))


def discard(workload: Workload, folder: Path) -> None:
    """Delete a workload that is too large to keep."""
    shutil.rmtree(folder / workload.table_name, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Return the bytes of the Parquet files in a folder and below."""
    return sum(path.stat().st_size for path in folder.glob("**/*.parquet"))


def kept_ids(workload: Workload) -> pa.Array:
    """Return the IDs that stay, sorted."""
    stays = np.ones(workload.rows, dtype=bool)
    stays[removed_numbers(workload)] = False
    ids = image_ids(np.flatnonzero(stays))
    return ids.take(pc.sort_indices(ids))


def image_ids(numbers: np.ndarray) -> pa.Array:
    """Return `img-` and twelve digits for each number; neighbours don't stay neighbours."""
    mixed = numbers.astype(np.uint64) * np.uint64(2_654_435_761) % np.uint64(2**32)
    powers = np.uint64(10) ** np.arange(11, -1, -1, dtype=np.uint64)
    text = np.empty((len(numbers), 16), dtype=np.uint8)
    text[:, :4] = list(b"img-")
    text[:, 4:] = mixed[:, None] // powers % np.uint64(10) + np.uint64(ord("0"))
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text))


def once(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder, unless it is there."""
    if not path.exists():
        print(f"  making {path.name}", flush=True)
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(path)
    return path


@functools.lru_cache(maxsize=2)
def removed_numbers(workload: Workload) -> np.ndarray:
    """Return the numbers of the listed images; they are spread over all files."""
    random = np.random.default_rng(SEED)
    return random.choice(workload.rows, workload.removed_rows, replace=False, shuffle=False)


def _write_list(workload: Workload, path: Path) -> None:
    unmatched = np.arange(workload.entries - workload.removed_rows) + workload.rows
    numbers = np.concatenate([removed_numbers(workload), unmatched])
    np.random.default_rng(SEED).shuffle(numbers)
    for index, part in enumerate(np.array_split(numbers, LIST_FILES)):
        table = pa.table({"id": image_ids(part)})
        pq.write_table(table, path / f"part-{index:02}.parquet", row_group_size=ROW_GROUP_ROWS)


def _write_images(workload: Workload, path: Path) -> None:
    bounds = np.linspace(0, workload.rows, workload.files + 1).astype(int)
    for index in range(workload.files):
        folder = path
        if workload.partitions:
            folder = path / f"source={index % workload.partitions:03}"
            folder.mkdir(exist_ok=True)
        tables = _row_groups(workload, index, range(bounds[index], bounds[index + 1]))
        first = next(tables)
        with pq.ParquetWriter(folder / f"part-{index:05}.parquet", first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)


def _row_groups(workload: Workload, index: int, numbers: range) -> Iterator[pa.Table]:
    random = np.random.default_rng([SEED, index])
    step = min(ROW_GROUP_ROWS, max(1, ROW_GROUP_BYTES // workload.image_bytes))
    for start in range(numbers.start, numbers.stop, step):
        part = np.arange(start, min(start + step, numbers.stop))
        yield _rows(part, workload.image_bytes, random)


def _rows(numbers: np.ndarray, image_bytes: int, random: np.random.Generator) -> pa.Table:
    return pa.table(
        {
            "image_id": image_ids(numbers),
            "image": _images(len(numbers), image_bytes, random),
            "width": pa.array(random.integers(64, 4096, len(numbers)), pa.int32()),
            "height": pa.array(random.integers(64, 4096, len(numbers)), pa.int32()),
            "caption": CAPTIONS.take(pa.array(random.integers(0, len(CAPTIONS), len(numbers)))),
        }
    )


def _images(count: int, image_bytes: int, random: np.random.Generator) -> pa.Array:
    spread = int(image_bytes * SPREAD)
    sizes = random.integers(image_bytes - spread, image_bytes + spread + 1, count)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(random.bytes(int(offsets[-1])))]
    return pa.BinaryArray.from_buffers(pa.binary(), count, buffers)
