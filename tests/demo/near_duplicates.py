"""The step before the job, as a user's pipeline has one: find near-duplicates, list their IDs.

Real pipelines compare embeddings on a GPU. This one compares perceptual hashes, and leaves its
list as NVIDIA NeMo Curator 1.x does in its `duplicates/` directory.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import imagehash
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

# Of 64 bits. Re-encodings and resizings stay within it; other pictures are twice as far away.
MAX_DISTANCE_BITS = 4
NUM_BATCHES = 7

Hash = npt.NDArray[np.bool_]


def find_near_duplicates(images: pa.Table) -> list[str]:
    """Return the IDs of the images that look like an earlier one of the table.

    Args:
        images: One row per image: `image_id` and `image` (encoded).

    Returns:
        In the table's order. The first of each group of like images is not among them.
    """
    hashes = [perceptual_hash(image.as_py()) for image in images["image"]]
    ids = images["image_id"].to_pylist()
    return [ids[index] for index in later_ones(hashes)]


def perceptual_hash(image: bytes) -> Hash:
    """Hash what an encoded image looks like: 64 bits."""
    with Image.open(io.BytesIO(image)) as opened:
        return imagehash.phash(opened).hash.ravel()


def later_ones(hashes: Sequence[Hash]) -> list[int]:
    """Return the positions of the hashes that are near to an earlier one that is not among them."""
    first_ones = np.zeros((len(hashes), 64), dtype=np.bool_)
    num_first_ones = 0
    found = []
    for position, one in enumerate(hashes):
        distances = np.count_nonzero(first_ones[:num_first_ones] != one, axis=1)
        if (distances <= MAX_DISTANCE_BITS).any():
            found.append(position)
        else:
            first_ones[num_first_ones] = one
            num_first_ones += 1
    return found


def write_list(ids: Sequence[str], directory: Path) -> None:
    """Write a removal list as NeMo Curator 1.x does.

    One Parquet file per batch of clusters, named by a hash, with one string column `id`, sorted.
    The last batch had no duplicates: its file is empty, and its `id` of Arrow's null type, for
    pandas writes no type where there is no value.
    """
    directory.mkdir(parents=True)
    for batch in range(NUM_BATCHES):
        some = [] if batch == NUM_BATCHES - 1 else sorted(ids[batch :: NUM_BATCHES - 1])
        name = hashlib.sha256(str(batch).encode()).hexdigest()[:12]
        pq.write_table(pa.table({"id": pa.array(some)}), directory / f"{name}.parquet")
