"""datatrove 0.10.1: MinHash in three steps, which leave positions to remove, and clusters."""

import csv
import shutil
import sys
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupSignature,
)


def main(captions: Path, out: Path) -> None:
    """Run the steps one after another, as one task each."""
    with captions.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: int(row["position"]))
    texts = [Document(text=row["caption"], id=row["name"]) for row in rows]
    config = MinhashConfig(num_buckets=8, hashes_per_bucket=6, n_grams=3)
    work = out / "work"
    signatures, buckets = str(work / "signatures"), str(work / "buckets")
    MinhashDedupSignature(signatures, config=config, skip_existing_sigs=False).run(iter(texts))
    for rank in range(config.num_buckets):
        MinhashDedupBuckets(signatures, buckets, config=config).run(
            rank=rank, world_size=config.num_buckets
        )
    MinhashDedupCluster(buckets, str(out), config=config, save_cluster_id=True).run()
    shutil.rmtree(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
