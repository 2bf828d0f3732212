"""A proof that no picture is gone altogether; pyarrow alone, nothing of the library."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from tests.demo.spark_runs import DemoError

Chain = list[str]


def prove_survivors(pairs: Path, removed: Path, kept: Path, *, eps: float) -> dict[str, Chain]:
    """Follow each removed image, pair by pair, to one that is in the output.

    Args:
        pairs: Pairwise results, as NeMo Curator leaves them.
        removed: What `--removed-output` kept of the run.
        kept: The run's output.
        eps: That of the run.

    Returns:
        Of each removed image its chain: itself, and the IDs that pairs lead to, up to the survivor.

    Raises:
        DemoError: What is gone is not what the pairs say; or an image has no survivor, or one that
            is not in the output, or one to which no pairs lead.
    """
    neighbours = neighbours_within(pairs, eps)
    rows = pq.read_table(removed, columns=["image_id", "surviving_keeper_id"]).to_pylist()
    named = {row["image_id"]: row["surviving_keeper_id"] for row in rows}
    stays = set(pq.read_table(kept, columns=["image_id"])["image_id"].to_pylist())
    if set(named) != set(neighbours) or not stays.isdisjoint(named):
        raise DemoError(f"{removed} does not hold what {pairs} says at eps {eps}")
    chains = {image_id: chain_of(image_id, neighbours, stays) for image_id in named}
    for image_id, chain in chains.items():
        if named[image_id] != chain[-1]:
            ends = f"names {named[image_id]!r} as its survivor, but the pairs lead to {chain[-1]!r}"
            raise DemoError(f"{removed}: {image_id!r} {ends}")
    return chains


def neighbours_within(pairs: Path, eps: float) -> dict[str, str]:
    """Read the pairs that are similar enough, as NeMo Curator does: ID to `max_id`."""
    alike = [("cosine_sim_score", ">=", 1.0 - eps)]
    files = [pq.read_table(file, filters=alike) for file in sorted(pairs.glob("*.parquet"))]
    return {row["id"]: row["max_id"] for file in files for row in file.to_pylist()}


def chain_of(image_id: str, neighbours: Mapping[str, str], stays: Collection[str]) -> Chain:
    """Go from an image to its neighbour, and on, to the first one that stays.

    Raises:
        DemoError: None does: the pairs end before, or go round in a circle.
    """
    chain = [image_id]
    while chain[-1] not in stays:
        following = neighbours.get(chain[-1])
        if following is None or following in chain:
            raise DemoError(f"no survivor of {image_id!r}: the pairs lead to {chain[-1]!r}")
        chain.append(following)
    return chain
