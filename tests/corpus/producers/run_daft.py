"""Daft 0.7.26: MinHash, bands, and connected components, as its recipe for deduplication does."""

import sys
from pathlib import Path

import daft
from daft import DataFrame, col
from daft.functions import chunk, minhash

NUM_HASHES, NGRAM, ROWS_PER_BAND = 64, 5, 8


def edges_of(captions: Path) -> DataFrame:
    """Find pairs of rows that share a band: `u`, `v`."""
    signatures = daft.read_csv(str(captions)).select(
        col("position").alias("index"),
        minhash(col("caption"), num_hashes=NUM_HASHES, ngram_size=NGRAM).alias("minhash"),
    )
    bands = signatures.select("index", chunk(col("minhash"), ROWS_PER_BAND)).explode("minhash")
    return (
        bands.join(bands, on="minhash", suffix="_right")
        .select(col("index").alias("u"), col("index_right").alias("v"))
        .where(col("u") != col("v"))
        .distinct()
    )


def components_of(edges: DataFrame) -> DataFrame:
    """Give each row the smallest index that it is connected with: `index`, `component`."""
    labels = edges.select(col("u").alias("index"), col("u").alias("component")).distinct().collect()
    while True:
        near = edges.join(labels, left_on="v", right_on="index").select(
            col("u").alias("index"), "component"
        )
        lowered = labels.concat(near).groupby("index").agg(col("component").min()).collect()
        before = labels.sort("index").to_pydict()
        if lowered.sort("index").to_pydict() == before:
            return lowered
        labels = lowered


if __name__ == "__main__":
    found = components_of(edges_of(Path(sys.argv[1])).collect()).sort("index")
    found.write_parquet(str(Path(sys.argv[2]) / "components"))
