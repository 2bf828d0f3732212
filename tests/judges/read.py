"""Read directories of shards by each judge that is a package; runs in their environment.

    python -m tests.judges.read DIRECTORY…

Prints a line of JSON for each directory: what each judge found, in its order.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import webdataset as wds
from PIL import Image

from tests.judges import curator

Found = list[dict[str, Any]]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def size_of(data: bytes) -> tuple[int, int]:
    """Height and width: they say which picture it is."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.height, picture.width


def by_webdataset(directory: Path) -> Found:
    """The shard, the key, and the digest of each member."""
    found = []
    for path in sorted(directory.glob("*.tar")):
        for sample in wds.WebDataset(str(path), shardshuffle=False):
            members = {name: sha(data) for name, data in sample.items() if name[:2] != "__"}
            picture = sample.get("jpg")
            found.append(
                {
                    "shard": path.name,
                    "key": sample["__key__"],
                    "size": None if picture is None else size_of(picture),
                    "members": members,
                }
            )
    return found


def by_datasets(directory: Path) -> Found:
    """The same by Hugging Face's `load_dataset`; JSON and text are what it makes of them."""
    paths = [str(path) for path in sorted(directory.glob("*.tar"))]
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset("webdataset", data_files=paths, split="train", cache_dir=cache)
        for name, feature in rows.features.items():
            if isinstance(feature, datasets.Image):
                rows = rows.cast_column(name, datasets.Image(decode=False))
        return [
            {
                "shard": Path(row["__url__"]).name,
                "key": row["__key__"],
                "members": {
                    name: sha(value["bytes"] if "bytes" in value else repr(value).encode())
                    for name, value in row.items()
                    if name[:2] != "__" and value is not None
                },
            }
            for row in rows
        ]


def by_dali(directory: Path) -> Found:
    """The size and the pixels of each image, as Curator's reader has them from DALI."""
    images = curator.images_in(curator.read(directory))
    return [{"id": image_id, "size": size, "pixels": pixels} for image_id, size, pixels in images]


JUDGES = {"webdataset": by_webdataset, "datasets": by_datasets, "DALI": by_dali}

if __name__ == "__main__":
    datasets.disable_progress_bars()
    for name in sys.argv[1:]:
        print(json.dumps({judge: read(Path(name)) for judge, read in JUDGES.items()}), flush=True)
