#!/usr/bin/env bash
# DuckDB 2.0.1: with PARQUET_VERSION v2, a column of 32-bit hashes can't be read by pyarrow and DataFusion
#
# Expected: `COPY … (PARQUET_VERSION v2)` of INTEGER or UINTEGER makes a Parquet file that other readers take.
# Happens:  DuckDB stores such a column as DELTA_BINARY_PACKED, as 32-bit numbers, but doesn't keep the first
#           value or the differences to 32 bits. Where two neighbouring values are more than 2^31 apart, which random
#           hashes always are somewhere, pyarrow stops with "Unexpected end of stream" and DataFusion with
#           "'min_delta' too large" or "first value too large". DuckDB and Polars read the file, so nothing is
#           noticed when writing. Small numbers and 64-bit columns are fine.
# Hurts:    CRC32 or other 32-bit hashes are what one groups image copies by first. The error names no column and reads
#           like a truncated file, so the table is taken for damaged and restored, or thrown away. Reading the other
#           columns alone works.
# Versions: duckdb 2.0.1, pyarrow 26.0.1, datafusion 55.0.0, polars 2.1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  duckdb==2.0.1 pyarrow==26.0.1 datafusion==55.0.0 polars==2.1.0
cd "$work"
venv/bin/python - <<'PY'
import zlib

import datafusion
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

print("duckdb", duckdb.__version__, "pyarrow", pa.__version__, "datafusion", datafusion.__version__, "polars", pl.__version__)
images = pa.table({
    "image_id": [f"img-{i}" for i in range(100)],
    "crc": pa.array([zlib.crc32(b"picture %d" % i) for i in range(100)], pa.uint32()),
})


def fusion(path):
    context = datafusion.SessionContext()
    context.register_parquet("t", path)
    return context.sql("SELECT crc FROM t").to_pydict()["crc"]


def read(path, truth):
    results = {}
    for name, reader in (
        ("duckdb", lambda: [row[0] for row in duckdb.sql(f"SELECT crc FROM '{path}'").fetchall()]),
        ("polars", lambda: pl.read_parquet(path)["crc"].to_list()),
        ("pyarrow", lambda: pq.read_table(path)["crc"].to_pylist()),
        ("datafusion", lambda: fusion(path)),
    ):
        try:
            results[name] = "right" if reader() == truth else "wrong"
        except Exception as error:
            results[name] = f"{type(error).__name__}: {str(error).rsplit('error: ')[-1]}"
    print(path, results)
    return results


hashes = images["crc"].to_pylist()
for path, query, truth in (
    ("hashes.parquet", "FROM images", hashes),
    ("small.parquet", "SELECT image_id, (crc % 65536)::UINTEGER AS crc FROM images", [crc % 65536 for crc in hashes]),
    ("wide.parquet", "SELECT image_id, crc::BIGINT AS crc FROM images", hashes),
):
    duckdb.sql(f"COPY ({query}) TO '{path}' (PARQUET_VERSION v2)")
    encoding = duckdb.sql(f"SELECT encodings FROM parquet_metadata('{path}') WHERE path_in_schema = 'crc'").fetchall()
    assert encoding == [("DELTA_BINARY_PACKED",)], encoding
    results = read(path, truth)
    if path == "hashes.parquet":
        assert results["duckdb"] == results["polars"] == "right"
        assert "end of stream" in results["pyarrow"] and "too large" in results["datafusion"]
    else:
        assert set(results.values()) == {"right"}
assert pq.read_table("hashes.parquet", columns=["image_id"]).num_rows == 100
PY
echo "as described: 32-bit hashes in DuckDB's v2 files stop other readers"
