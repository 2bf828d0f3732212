"""Make the tables beside this file anew, in an environment that has DuckDB and Polars:

pip install duckdb==2.0.1 polars==2.1.0
python tests/tables/make.py
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

FOLDER = Path(__file__).parent
IDS = "'id-' || range AS image_id, encode('image ' || range) AS image"
TABLES = {
    # DuckDB says of integers that they have a sign.
    "duckdb_integers": (f"{IDS}, range AS big, range::INT AS int, range::SMALLINT AS small", "V1"),
    "duckdb_uuid": (f"{IDS}, range AS big, md5(range::VARCHAR)::UUID AS uuid", "V1"),
    # Floats in the encoding BYTE_STREAM_SPLIT, which Spark 4.0 does not know.
    "duckdb_v2": (f"{IDS}, range / 7.0 AS score", "V2"),
}


def main() -> None:
    """Write each table: five images, id-0 to id-4."""
    for name, (columns, version) in TABLES.items():
        path = FOLDER / f"{name}.parquet"
        duckdb.sql(f"COPY (SELECT {columns} FROM range(5)) TO '{path}' (PARQUET_VERSION {version})")
    images = {
        "image_id": [f"id-{n}" for n in range(5)],
        "image": [f"image {n}".encode() for n in range(5)],
        "split": ["train", "train", "a/b", "x y", None],
        "shard": [1, 1, 2, -3, None],
        "score": [n / 7 for n in range(5)],
    }
    # The columns of the directory names are in the files, too.
    pl.DataFrame(images).write_parquet(FOLDER / "polars_keys", partition_by=["split", "shard"])


if __name__ == "__main__":
    main()
