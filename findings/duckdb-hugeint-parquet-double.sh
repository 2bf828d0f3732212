#!/usr/bin/env bash
# DuckDB 2.0.1: 128-bit keys become DOUBLE when written to Parquet, so different keys turn into one
#
# Expected: COPY … TO a Parquet file keeps an integer key's value, or refuses a type that Parquet hasn't.
# Happens:  HUGEINT and UHUGEINT columns are written as DOUBLE: the type changes and 75 bits go, without a
#           warning. That meets md5_number(), the 128-bit content hash; keys made of shard and row; and
#           sum() of BIGINT, e.g. a running row number, which is HUGEINT too. Read back by DuckDB the
#           column still joins with the true keys, as those are turned to DOUBLE for it: the loss is hidden
#           inside DuckDB, and matches rows that it shouldn't. In the database file the same column is exact.
# Hurts:    a removal list of one key, `shard * 2^64 + row`, matches the thousands of rows beside it; an MD5 list as
#           other tools make it (hex digits) equals no hash of the table any more.
#           Write such keys as text, UUID, or two BIGINT columns; DECIMAL(38,0) holds keys below 10^38.
# Versions: duckdb 2.0.1, pyarrow 26.0.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cd "$work"
venv/bin/python - <<'PY'
import hashlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

print("duckdb", duckdb.__version__, "pyarrow", pa.__version__)
run = duckdb.connect("keys.duckdb").execute
run("""CREATE TABLE images AS
       SELECT 7::HUGEINT * 18446744073709551616 + row AS key, md5_number('picture' || row) AS md5,
              sum(row) OVER (ORDER BY row) AS running
       FROM range(1000) t(row)""")
run("CREATE TABLE list AS SELECT max(key) AS key FROM images")
run("COPY images TO 'images.parquet'")
run("COPY list TO 'list.parquet'")
types = {field.name: str(field.type) for field in pq.read_schema("images.parquet")}
print("types in the table:", run("SELECT DISTINCT typeof(key), typeof(md5), typeof(running) FROM images").fetchall())
print("types in Parquet:", types)
assert set(types.values()) == {"double"}


def count(images, column="*"):
    return run(f"SELECT count({column}) FROM {images}").fetchone()[0]


distinct = count("images", "DISTINCT key"), count("'images.parquet'", "DISTINCT key")
matched = (count("images SEMI JOIN list USING (key)"), count("'images.parquet' SEMI JOIN 'list.parquet' USING (key)"),
           count("'images.parquet' SEMI JOIN list USING (key)"))
print("distinct keys of 1000, table and file:", *distinct)
print("images matched by a list of one key: tables", matched[0], "files", matched[1], "file with true list", matched[2])
assert distinct == (1000, 1) and matched == (1, 1000, 1000)
true = {int.from_bytes(hashlib.md5(f"picture{i}".encode()).digest(), "little") for i in range(1000)}
in_table = {row[0] for row in run("SELECT md5 FROM images").fetchall()}
in_file = {int(value) for value in pq.read_table("images.parquet")["md5"].to_pylist()}
print("MD5 hashes that agree with hashlib: table", len(true & in_table), "file", len(true & in_file))
assert len(true & in_table) == 1000 and len(true & in_file) == 0
PY
echo "as described: 128-bit keys are DOUBLE in the file, and a list of one key takes its neighbours"
