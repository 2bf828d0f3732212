"""Make the tables beside this file anew, in an environment that has DuckDB:

pip install duckdb==2.0.1
python tests/tables/make.py
"""

from __future__ import annotations

from pathlib import Path

import duckdb

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


if __name__ == "__main__":
    main()
