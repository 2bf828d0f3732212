"""The step before the job, as a user's pipeline has one: find near-duplicates, list their IDs.

Real pipelines compare embeddings on a GPU. This one compares perceptual hashes, and leaves what
NVIDIA NeMo Curator 1.x does: `duplicates/`, a plain list of IDs, and `pairwise_results/`, pairs
with scores, which leave open from which similarity on an image is a duplicate.
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
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

HASH_BITS = 64
# Re-encodings and resizings stay within it; other pictures are twice as far away.
MAX_DISTANCE_BITS = 4
NUM_BATCHES = 7
# Clusters hide what is alike across them; nothing is hidden from an eps of 16 / 64 or less.
CLUSTER_DISTANCE_BITS = 16
NUM_CLUSTERS = 12
PAIRS_SCHEMA = pa.schema(
    {"id": pa.string(), "max_id": pa.string(), "cosine_sim_score": pa.float32()}
)

Hash = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.int16]


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
    """Hash what an encoded image looks like: `HASH_BITS` bits."""
    with Image.open(io.BytesIO(image)) as opened:
        return imagehash.phash(opened).hash.ravel()


def later_ones(hashes: Sequence[Hash]) -> list[int]:
    """Return the positions of the hashes that are near to an earlier one that is not among them."""
    first_ones = np.zeros((len(hashes), HASH_BITS), dtype=np.bool_)
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


def find_pairs(images: pa.Table) -> list[pa.Table]:
    """Pair each image with the most similar one that ranks before it in its cluster.

    The image with more pixels ranks first, then the one with the smaller ID: of two that are alike
    the larger one stays.

    Args:
        images: One row per image: `image_id`, `image` (encoded), `width` and `height`.

    Returns:
        One table per cluster, as `PAIRS_SCHEMA` says, with one row per image in order of rank.

    Source: NeMo Curator's `PairwiseCosineSimilarityStage`, with a `RankingStrategy` by size.
    """
    pixels = pc.multiply(images["width"], images["height"])
    order = [("pixels", "descending"), ("image_id", "ascending")]
    ranked = images.append_column("pixels", pixels).sort_by(order)
    distances = distances_between([perceptual_hash(image.as_py()) for image in ranked["image"]])
    clusters = groups_of_near(distances) % NUM_CLUSTERS
    members = [np.flatnonzero(clusters == cluster) for cluster in range(NUM_CLUSTERS)]
    return [
        pairs_of_cluster(ranked["image_id"].take(pa.array(some)), distances[np.ix_(some, some)])
        for some in members
        if len(some)
    ]


def distances_between(hashes: Sequence[Hash]) -> Distances:
    """Count the bits in which each hash differs from each other one."""
    signs = np.where(np.array(hashes), 1, -1).astype(np.float32)
    return ((HASH_BITS - signs @ signs.T) / 2).astype(np.int16)


def groups_of_near(distances: Distances) -> npt.NDArray[np.int64]:
    """Number the hashes so that any two within `CLUSTER_DISTANCE_BITS` have the same number.

    Each takes the smallest number among those near to it, until none changes.
    """
    near = distances <= CLUSTER_DISTANCE_BITS
    numbers = np.arange(len(distances))
    while True:
        smallest = np.where(near, numbers, len(numbers)).min(axis=1)
        if (smallest == numbers).all():
            return numbers
        numbers = smallest


def pairs_of_cluster(ranked_ids: Sequence[str] | pa.ChunkedArray, distances: Distances) -> pa.Table:
    """Name each image's nearest one of those before it, and how similar the two are.

    The similarity is 1 - distance / 64: the fewer bits differ the higher, from 0 to 1, and the same
    for all pairs at one distance. It stands in for Curator's cosine, which it is not. The first of
    a cluster has none before it: as Curator writes it, it is its own neighbour, with similarity 0.
    """
    similarities = np.triu(1 - distances / HASH_BITS, k=1)
    ids = pa.array(ranked_ids) if isinstance(ranked_ids, Sequence) else ranked_ids
    nearest = ids.take(pa.array(similarities.argmax(axis=0)))
    scores = pa.array(similarities.max(axis=0).astype(np.float32))
    return pa.table([ids, nearest, scores], schema=PAIRS_SCHEMA)


def write_pairs(clusters: Sequence[pa.Table], directory: Path) -> None:
    """Write pairs as NeMo Curator 1.x does: `cluster_<n>.parquet`, and a last one without rows.

    The IDs of the last one are of Arrow's null type, for pandas writes no type where there is no
    value.
    """
    directory.mkdir(parents=True)
    scores = pa.array([], pa.float32())
    empty = pa.table([pa.nulls(0), pa.nulls(0), scores], names=PAIRS_SCHEMA.names)
    for number, cluster in enumerate([*clusters, empty]):
        pq.write_table(cluster, directory / f"cluster_{number}.parquet")
