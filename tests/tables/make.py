"""Make the tables beside this file anew: each function in an environment that has its writer.

pip install duckdb==2.0.1
python tests/tables/make.py duckdb
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
IDS = "'id-' || range AS image_id, encode('image ' || range) AS image"
TABLES = {
    # DuckDB says of integers that they have a sign.
    "duckdb_integers": (f"{IDS}, range AS big, range::INT AS int, range::SMALLINT AS small", "V1"),
    "duckdb_uuid": (f"{IDS}, range AS big, md5(range::VARCHAR)::UUID AS uuid", "V1"),
    # Floats in the encoding BYTE_STREAM_SPLIT, which Spark 4.0 does not know.
    "duckdb_v2": (f"{IDS}, range / 7.0 AS score", "V2"),
    # Integers whose differences have 33 bits, which pyarrow can't read.
    "duckdb_hashes": (f"{IDS}, [-2147483648, 2147483647, 0][range % 3 + 1]::INT AS hash", "V2"),
    # Types that Spark 4.0 does not know.
    "duckdb_variant": (f"{IDS}, {{'a': range}}::VARIANT AS about", "V1"),
    "duckdb_geometry": (f"{IDS}, 'POINT(1 2)'::GEOMETRY AS place", "V1, GEOPARQUET_VERSION 'V2'"),
}


def by_duckdb() -> None:
    """Write tables of five images, id-0 to id-4. Needs duckdb==2.0.1."""
    import duckdb  # each function has its own environment

    for name, (columns, version) in TABLES.items():
        path = FOLDER / f"{name}.parquet"
        duckdb.sql(f"COPY (SELECT {columns} FROM range(5)) TO '{path}' (PARQUET_VERSION {version})")


def by_duckdb_with_arrays() -> None:
    """Write arrays of a fixed length, and NULL instead of one. Needs duckdb==2.0.1."""
    import duckdb

    numbers = "CASE WHEN range % 3 > 0 THEN [1.5, 2.5, range]::FLOAT[3] END AS numbers"
    columns = f"'id-' || range AS image_id, 'x'::BLOB AS image, {numbers}"
    duckdb.sql(f"COPY (SELECT {columns} FROM range(9)) TO '{FOLDER}/duckdb_array.parquet'")


def by_polars() -> None:
    """Write partitions whose files also have their columns. Needs polars==2.1.0."""
    import polars as pl

    images = {
        "image_id": [f"id-{n}" for n in range(5)],
        "image": [f"image {n}".encode() for n in range(5)],
        "split": ["train", "train", "a/b", "x y", None],
        "shard": [1, 1, 2, -3, None],
        "score": [n / 7 for n in range(5)],
    }
    pl.DataFrame(images).write_parquet(FOLDER / "polars_keys", partition_by=["split", "shard"])


def by_datasets() -> None:
    """Write 2,000 images in pages cut by their content. Needs datasets==5.2.0 and pillow."""
    from datasets import Dataset, Features, Image, Value

    draw = random.Random(0)
    rows = {
        "image_id": [f"id-{number}" for number in range(2_000)],
        "image": [{"bytes": draw.randbytes(16), "path": None} for _ in range(2_000)],
    }
    features = Features({"image_id": Value("string"), "image": Image()})
    sizes = {"min_chunk_size": 2_048, "max_chunk_size": 8_192, "norm_level": 0}
    Dataset.from_dict(rows, features=features).to_parquet(
        FOLDER / "huggingface.parquet", use_content_defined_chunking=sizes
    )


def by_pandas() -> None:
    """Write 20 rows with an index that numbers them, and with another. Needs pandas==3.1.1."""
    import pandas as pd

    rows = pd.DataFrame({"image_id": [f"id-{number}" for number in range(20)]})
    rows.to_parquet(FOLDER / "pandas.parquet")
    rows.index = pd.RangeIndex(100, 140, 2, name="number")
    rows.to_parquet(FOLDER / "pandas_index.parquet")


def by_fastparquet() -> None:
    """Append to a file, whose own count stays. Needs fastparquet==2022.11.0 pandas<2 numpy<2."""
    import fastparquet
    import pandas as pd

    path = str(FOLDER / "fastparquet_appended.parquet")
    for numbers in (range(3), range(3, 8)):
        ids, images = [f"id-{n}" for n in numbers], [b"image %d" % n for n in numbers]
        rows = pd.DataFrame({"image_id": ids, "image": images})
        fastparquet.write(path, rows, append=numbers.start > 0)


def by_old_pyarrow() -> None:
    """Write times of day, which were said to be UTC. Needs pyarrow==17.0.0 numpy<2."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    columns = {
        "image_id": [f"id-{number}" for number in range(5)],
        "image": [b"image %d" % number for number in range(5)],
        "ms": pa.array(range(5), pa.time32("ms")),
        "us": pa.array(range(5), pa.time64("us")),
        "times": pa.array([[number] for number in range(5)], pa.list_(pa.time64("ns"))),
    }
    pq.write_table(pa.table(columns), FOLDER / "pyarrow_17_times.parquet")


def by_patching() -> None:
    """Write an ENUM, as parquet-avro does, by other bytes in a footer. Needs pyarrow==26.0.1."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    columns = {
        "image_id": [f"id-{number}" for number in range(5)],
        "image": [b"image %d" % number for number in range(5)],
        "kind": ["cat", "dog", "cat", None, "cat"],
    }
    path = FOLDER / "enum.parquet"
    pq.write_table(pa.table(columns), path, store_schema=False)
    as_string = b"kind\x25\x00\x4c\x1c"  # Thrift: converted type 0, field 1 of the logical types
    as_enum = b"kind\x25\x08\x4c\x4c"  # 4, field 4
    assert path.read_bytes().count(as_string) == 1
    path.write_bytes(path.read_bytes().replace(as_string, as_enum))


def by_spark() -> None:
    """Write a map whose keys may be NULL, as Hive does: pairs, named a map in the footer.

    Needs pyspark==4.0.4 pyarrow==26.0.1.
    """
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.config("spark.sql.parquet.writeLegacyFormat", "true").getOrCreate()
    key = "nullif(key, 'no key') AS key"
    pairs = f"transform(array('x', 'y'), key -> struct({key}, id AS value)) AS about"
    rows = spark.range(0, 5, 1, 1).selectExpr(
        "concat('id-', id) AS image_id", "encode(concat('image ', id), 'UTF-8') AS image", pairs
    )
    with tempfile.TemporaryDirectory() as folder:
        rows.write.parquet(f"{folder}/table")
        content = next(Path(folder).glob("table/*.parquet")).read_bytes()
    as_list = b"about\x15\x02\x15\x06\x4c\x3c"  # Thrift: converted type 3, field 3
    as_map = b"about\x15\x02\x15\x02\x4c\x2c"  # 1, field 2
    own_schema = b"org.apache.spark.sql.parquet.row.metadata"  # it says that these are pairs
    assert content.count(as_list) == content.count(own_schema) == 1
    content = content.replace(as_list, as_map).replace(own_schema, own_schema[::-1])
    (FOLDER / "optional_keys.parquet").write_bytes(content)


WRITERS: dict[str, Callable[[], None]] = {
    "duckdb": by_duckdb,
    "duckdb_with_arrays": by_duckdb_with_arrays,
    "polars": by_polars,
    "datasets": by_datasets,
    "pandas": by_pandas,
    "fastparquet": by_fastparquet,
    "old_pyarrow": by_old_pyarrow,
    "patch": by_patching,
    "spark": by_spark,
}

if __name__ == "__main__":
    WRITERS[sys.argv[1]]()
