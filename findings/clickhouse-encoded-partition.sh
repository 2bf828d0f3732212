#!/usr/bin/env bash
# chdb 4.4.0 (ClickHouse 26.9): partition values from directory names stay percent-encoded, and filters on them find nothing
#
# Expected: a Hive-partitioned directory `shot=10%3A30` is read as the value 10:30, as its writers (Spark,
#           pyarrow, Polars, DuckDB) mean it, and as all of these read it.
# Happens:  file('DIR/**/*.parquet') gives `10%3A30`, and `test%20set` for what pyarrow wrote of `test set`.
#           A filter for the value finds no row, without an error; a plain value beside it is right.
# Hurts:    `WHERE split = 'test set'` or a join on a time leaves a test set, or a day's images, out of a count or
#           of a check for duplicates, in silence.
# Versions: chdb 4.4.0 (chdb-core 26.9.0), duckdb 2.0.1, pyarrow 25.0.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  chdb==4.4.0 chdb-core==26.9.0 duckdb==2.0.1 pyarrow==25.0.1
cd "$work"
venv/bin/python - <<'PY'
import chdb
import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

print("ClickHouse", str(chdb.query("SELECT version()")).strip(), "DuckDB", duckdb.__version__)
table = pa.table({"image_id": list("abcd"), "shot": ["day", "10:30", "test set", "café"]})
pq.write_to_dataset(table, "images", partition_cols=["shot"])


def clickhouse(query):
    return str(chdb.query(query, "TabSeparated")).splitlines()


source = "file('images/**/*.parquet')"
shots = sorted(clickhouse(f"SELECT shot FROM {source}"))
counts = [clickhouse(f"SELECT count() FROM {source} WHERE shot = '{shot}'")[0] for shot in ("day", "10:30")]
by_duckdb = sorted(row[0] for row in duckdb.sql("SELECT shot FROM 'images/**/*.parquet'").fetchall())
by_pyarrow = sorted(ds.dataset("images", partitioning="hive").to_table()["shot"].to_pylist())
print("ClickHouse:", shots, "rows with 'day' and '10:30':", counts)
print("DuckDB:", by_duckdb)
print("pyarrow:", by_pyarrow)
assert by_duckdb == by_pyarrow == ["10:30", "café", "day", "test set"]
assert shots == ["10%3A30", "caf%C3%A9", "day", "test%20set"] and counts == ["1", "0"]
PY
echo "as described: ClickHouse leaves partition values encoded, and a filter for the value finds nothing"
