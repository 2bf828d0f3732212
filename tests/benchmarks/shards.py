"""Tar shards and removal lists, made once and kept: what an image table is in the case of shards.

Each sample has a picture, its JSON and its caption, with PAX headers as webdataset writes them. The
pictures are JPEG, because NeMo Curator decodes them; some hundred are used again and again. A
sample's key is NeMo Curator's ID of its picture, so that one list is right for all.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks import data
from tests.benchmarks.data import SEED, Made, Workload

PICTURES = 100


@dataclass(frozen=True)
class Shards(Workload):
    """Shards, `files` of them, with as many samples in each, and a removal list for them."""

    @property
    def table_name(self) -> str:
        return f"shards-{self.rows}-{self.image_bytes}-{self.files}"

    @property
    def list_name(self) -> str:
        return f"shard-list-{self.rows}-{self.files}-{self.removed_rows}"

    def keys(self, numbers: np.ndarray) -> list[str]:
        """Return the keys of samples by their numbers."""
        each = self.rows // self.files
        return [f"{number // each:05d}_{number % each:06d}" for number in numbers.tolist()]

    def kept_keys(self) -> set[str]:
        """Return the keys that stay."""
        stays = np.ones(self.rows, dtype=bool)
        stays[data.removed_numbers(self)] = False
        return set(self.keys(np.flatnonzero(stays)))


def make(workload: Shards, folder: Path) -> Made:
    """Make shards and their list in a folder, unless they are there."""
    shards = data.once(folder / workload.table_name, lambda path: _write_shards(workload, path))
    listed = data.once(folder / workload.list_name, lambda path: _write_list(workload, path))
    size_bytes = sum(path.stat().st_size for path in shards.glob("*.tar"))
    return Made(workload, shards, listed, size_bytes)


def keys_in(folder: Path) -> list[str]:
    """Return the key of each JPEG in shards."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found += [name[:-4] for name in tar.getnames() if name.endswith(".jpg")]
    return found


def _write_list(workload: Shards, path: Path) -> None:
    ids = pa.array(workload.keys(data.removed_numbers(workload)))
    pq.write_table(pa.table({"id": ids}), path / "0.parquet")


def _write_shards(workload: Shards, path: Path) -> None:
    pictures = [_picture(number, workload.image_bytes) for number in range(PICTURES)]
    keys = workload.keys(np.arange(workload.rows))
    each = workload.rows // workload.files
    for shard in range(workload.files):
        with tarfile.open(path / f"{shard:05d}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(shard * each, (shard + 1) * each):
                facts = json.dumps({"uid": f"uid-{number}", "status": "success"}).encode()
                members = {"jpg": pictures[number % PICTURES], "json": facts, "txt": b"a thing"}
                for suffix, content in members.items():
                    info = tarfile.TarInfo(f"{keys[number]}.{suffix}")
                    info.size, info.mtime = len(content), 1_700_000_000.5
                    tar.addfile(info, io.BytesIO(content))


def _picture(number: int, num_bytes: int) -> bytes:
    """Make a JPEG of about so many bytes: smooth like a photograph, with some grain."""
    from PIL import Image

    random = np.random.default_rng([SEED, number])
    side = max(16, int((num_bytes * 3.5) ** 0.5))
    coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.int16)
    grain = random.integers(-12, 13, smooth.shape, np.int16)
    picture = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
    low, high, best = 1, 100, b""
    while low <= high:  # the best quality that is not too large
        quality = (low + high) // 2
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality)
        if content.tell() <= num_bytes or not best:
            best = content.getvalue()
        low, high = (quality + 1, high) if content.tell() <= num_bytes else (low, quality - 1)
    return best
