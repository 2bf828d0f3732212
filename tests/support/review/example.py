"""A review page of scikit-image's photographs, to look at and to take the README's picture of.

    python -m tests.support.review.example PAGE.html

Near-duplicates are those that the demo makes; scores are 1 - different bits / 64 of a perceptual
hash, so that the least certain pairs show other crops of the same photograph.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from dedup_lib.executor.thumbnails import make_thumbnail
from dedup_lib.review.data import Bin, Pair, Part, Picture, Review, Scores, Unmatched, bin_edges
from dedup_lib.review.page import render
from tests.demo.pictures import image_table

EPS = 0.2
SHOWN = 60


def main() -> None:
    rows = image_table(420, num_shards=6).to_pylist()
    Path(sys.argv[1]).write_text(render(example(rows)), encoding="utf-8")


def example(rows: list[dict[str, Any]]) -> Review:
    rows = rows + _with_odd_files(rows)
    scores = _scores(rows)
    keepers = {
        goes: (stays, scores[goes, stays])
        for goes in range(1, len(rows))
        for stays in [max(range(goes), key=lambda other: scores[goes, other])]
        if scores[goes, stays] >= 1 - EPS
    }
    while any(stays in keepers for stays, _ in keepers.values()):  # to the one that stays
        keepers = {
            goes: (keepers[stays][0] if stays in keepers else stays, score)
            for goes, (stays, score) in keepers.items()
        }
    pairs = [
        Pair(
            removed=_picture(rows[goes]),
            keeper=_picture(rows[stays]),
            score=score,
            reasons=["pairwise list s3://images/curator/pairwise_results"],
        )
        for goes, (stays, score) in keepers.items()
    ]
    pairs.sort(key=lambda pair: pair.score)
    removed = sum(len(rows[goes]["image"]) for goes in keepers)
    everything = sum(len(row["image"]) for row in rows)
    sizes = Counter(Counter(stays for stays, _ in keepers.values()).values())
    listed = [score for (goes, stays), score in scores.items() if score >= 0.6]
    return Review(
        run="dedup-2026-11-26",
        images="s3://images/raw",
        lists=[("s3://images/curator/pairwise_results", "pairs of NeMo Curator, eps 0.2")],
        input_rows=len(rows),
        removed_rows=len(keepers),
        input_bytes=everything,
        removed_bytes=removed,
        pairs=pairs[:SHOWN],
        sample="They are the lowest scores.",
        scores=_histogram(listed),
        group_sizes={size + 1: count for size, count in sizes.items()},
        parts=_parts(rows, set(keepers)),
        unmatched=Unmatched(
            num_ids=12,
            listed_ids=len(keepers) + 12,
            examples=["00009_000001", "00009_000002", "00009_000003"],
        ),
        made_at="26 November 2026, 12:00 UTC",
        version="0.1.0",
    )


def _with_odd_files(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**rows[0], "image_id": "00006_000000", "image": rows[0]["image"][:900]},
        *({**row, "image_id": f"00006_{place:06d}"} for place, row in enumerate(rows[1:9], 1)),
    ]


def _scores(rows: list[dict[str, Any]]) -> dict[tuple[int, int], float]:
    hashes = []
    for row in rows:
        try:
            hashes.append(imagehash.phash(Image.open(io.BytesIO(row["image"]))).hash.ravel())
        except OSError:
            hashes.append(hashes[0])
    bits = np.array(hashes)
    different = (bits[:, None, :] != bits[None, :, :]).sum(axis=2)
    return {
        (one, other): 1 - int(different[one, other]) / 64
        for one in range(len(rows))
        for other in range(one)
    }


def _histogram(scores: list[float]) -> Scores:
    edges = bin_edges(min(scores), max(scores), 1 - EPS, bins=26)
    counts, _ = np.histogram(scores, edges)
    bins = [Bin(*bounds) for bounds in zip(edges, edges[1:], map(int, counts), strict=False)]
    return Scores(bins, EPS)


def _parts(rows: list[dict[str, Any]], removed: set[int]) -> list[Part]:
    shards = [row["image_id"].partition("_")[0] for row in rows]
    inputs = Counter(shards)
    losses = Counter(shard for place, shard in enumerate(shards) if place in removed)
    return [Part(f"{shard}.parquet", inputs[shard], losses[shard]) for shard in sorted(inputs)]


def _picture(row: dict[str, Any]) -> Picture:
    return Picture(
        row["image_id"],
        make_thumbnail(row["image"]),
        size_bytes=len(row["image"]),
        texts={"caption": row["caption"]},
        file_path=f"s3://images/raw/{row['image_id'].partition('_')[0]}.parquet",
    )


if __name__ == "__main__":
    main()
