"""Read tables with one reader, in the readers' own environment: `read.py READER RESULTS TABLE…`.

It writes a JSON file for each table: its `rows`, a `count`, or the `error` that the reader raised.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SELECTED = "SELECT image_id, image, split FROM"
# A reader takes a table's directory and returns Arrow's, or the number of rows.
READERS: dict[str, Callable[[str], Any]] = {}


def reader(name: str) -> Callable[[Callable[[str], Any]], Callable[[str], Any]]:
    """Register a function as the reader with a name: that of its row in docs/readers.md."""

    def register(function: Callable[[str], Any]) -> Callable[[str], Any]:
        READERS[name] = function
        return function

    return register


@reader("delta-rs `to_pyarrow_table()`")
def delta_rs_arrow(table: str) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(table).to_pyarrow_table()


@reader("delta-rs `QueryBuilder`")
def delta_rs_query(table: str) -> Any:
    from deltalake import DeltaTable, QueryBuilder

    return QueryBuilder().register("t", DeltaTable(table)).execute(f"{SELECTED} t").read_all()


@reader("delta-rs `count()`")
def delta_rs_count(table: str) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(table).count()


@reader("delta-rs `file_uris()`, read as Parquet")
def delta_rs_files(table: str) -> Any:
    import polars as pl
    from deltalake import DeltaTable

    return pl.read_parquet(DeltaTable(table).file_uris(), hive_partitioning=True)


@reader("Polars `scan_delta`")
def polars_delta(table: str) -> Any:
    import polars as pl

    return pl.scan_delta(table).collect()


@reader("Polars `scan_parquet(DIR)`")
def polars_directory(table: str) -> Any:
    import polars as pl

    return pl.scan_parquet(table).collect()


@reader("Polars `scan_parquet(DIR/**/*.parquet)`")
def polars_glob(table: str) -> Any:
    import polars as pl

    return pl.scan_parquet(f"{table}/**/*.parquet", hive_partitioning=True).collect()


@reader("Daft `read_deltalake`")
def daft_delta(table: str) -> Any:
    import daft

    return daft.read_deltalake(table).to_arrow()


@reader("Daft `read_parquet(DIR)`")
def daft_directory(table: str) -> Any:
    import daft

    return daft.read_parquet(table, hive_partitioning=True).to_arrow()


@reader("Daft `read_parquet(DIR/**/*.parquet)`")
def daft_glob(table: str) -> Any:
    import daft

    return daft.read_parquet(f"{table}/**/*.parquet", hive_partitioning=True).to_arrow()


@reader("Ray `read_delta`")
def ray_delta(table: str) -> Any:
    return _ray().data.read_delta(table).to_pandas()


@reader("Ray `read_parquet(DIR)`")
def ray_directory(table: str) -> Any:
    return _ray().data.read_parquet(table).to_pandas()


@reader("DuckDB `delta_scan`")
def duckdb_delta(table: str) -> Any:
    import duckdb
    import duckdb_extension_delta

    (extension,) = Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension")
    session = duckdb.connect()
    session.execute(f"LOAD '{extension}'")
    return session.sql(f"{SELECTED} delta_scan('{table}')").to_arrow_table()


@reader("DuckDB `read_parquet(DIR/**/*.parquet)`")
def duckdb_glob(table: str) -> Any:
    import duckdb

    return duckdb.sql(f"{SELECTED} read_parquet('{table}/**/*.parquet')").to_arrow_table()


@reader("`load_dataset(data_dir=DIR)`")
def datasets_directory(table: str) -> Any:
    return _datasets(data_dir=table)


@reader("`load_dataset(data_files=DIR/**/*.parquet)`")
def datasets_files(table: str) -> Any:
    return _datasets(data_files=f"{table}/**/*.parquet")


@reader("pandas `read_parquet(DIR)`")
def pandas_directory(table: str) -> Any:
    import pandas as pd

    return pd.read_parquet(table)


@reader('Sail `format("delta")`')
def sail_delta(table: str) -> Any:
    with _sail() as spark:
        return spark.read.format("delta").load(table).toPandas()


@reader("Sail `parquet(DIR)`")
def sail_parquet(table: str) -> Any:
    with _sail() as spark:
        return spark.read.parquet(table).toPandas()


@reader("ClickHouse `deltaLakeLocal`")
def clickhouse_delta(table: str) -> Any:
    return _clickhouse_rows(f"deltaLakeLocal('{table}')")


@reader("ClickHouse `count()`")
def clickhouse_count(table: str) -> Any:
    counted = _clickhouse(f"SELECT count() AS rows FROM deltaLakeLocal('{table}')")
    return counted["rows"][0].as_py()


@reader("ClickHouse `file(DIR/**/*.parquet)`")
def clickhouse_glob(table: str) -> Any:
    return _clickhouse_rows(f"file('{table}/**/*.parquet')")


def _ray() -> Any:
    import ray
    import ray.data

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    return ray


def _datasets(**source: str) -> Any:
    import datasets

    return datasets.load_dataset("parquet", split="train", **source).with_format("arrow")[:]


def _clickhouse(query: str) -> Any:
    import chdb

    return chdb.query(query, "ArrowTable")


def _clickhouse_rows(source: str) -> dict[str, list[Any]]:
    # An Arrow table from ClickHouse has bytes as text, which must be UTF-8.
    selected = f"SELECT image_id, hex(image) AS image, toString(split) AS split FROM {source}"
    columns = _clickhouse(selected).to_pydict()
    return {**columns, "image": [bytes.fromhex(image) for image in columns["image"]]}


@contextmanager
def _sail() -> Iterator[Any]:
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer()
    server.start()
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://localhost:{port}").create()
    try:
        yield spark
    finally:
        spark.stop()
        server.stop()


def digests(read: Any) -> list[list[str | None]]:
    """Return the rows: ID, SHA-256 of the image, and `split`, None if there is no such column."""
    columns = _columns(read)
    splits = columns.get("split", [None] * len(columns["image_id"]))
    return [
        [
            name,
            None if image is None else hashlib.sha256(image).hexdigest(),
            None if split is None else str(split),
        ]
        for name, image, split in zip(columns["image_id"], columns["image"], splits, strict=True)
    ]


def _columns(read: Any) -> dict[str, list[Any]]:
    """Return the columns of a frame of pandas or Polars, a table of Arrow, or a dictionary."""
    if isinstance(read, dict):
        return read
    if hasattr(read, "to_dict") and not hasattr(read, "to_arrow"):
        return {name: list(read[name]) for name in read.columns}
    if hasattr(read, "to_arrow"):
        read = read.to_arrow()
    import pyarrow as pa

    return pa.table(read).to_pydict()


def outcome(read: Callable[[str], Any], table: str) -> dict[str, Any]:
    """Read a table: `rows`, or a `count`, or the `error`."""
    try:
        found = read(table)
        return {"count": found} if isinstance(found, int) else {"rows": digests(found)}
    except BaseException as error:  # a panic of Rust is no Exception
        return {"error": f"{type(error).__name__}: {error}"}


def main(name: str, results: str, *tables: str) -> None:
    """Write a file for each table; leave at once, whatever threads a reader has started."""
    for table in tables:
        path = Path(results) / f"{Path(table).name}.json"
        made = path.with_suffix(".part")
        made.write_text(json.dumps(outcome(READERS[name], table)))
        made.rename(path)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
