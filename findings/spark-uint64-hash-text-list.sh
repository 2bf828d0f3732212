#!/usr/bin/env bash
# Spark 4.0.4 + uint64 from Parquet: a list of hashes as text removes images that are not on it
#
# Expected: under Spark 4's ANSI rules a 64-bit hash equals the text of that very number, or the join is an error.
# Happens:  Parquet's unsigned 64-bit integers are DECIMAL(20,0) in Spark. Against a STRING, Spark casts both sides
#           to DOUBLE, which has 53 bits: one listed hash matches all that round to the same double, in a
#           join and in `phash IN ('…')` alike; no warning. With a BIGINT column text is read as an integer,
#           exactly, so a test with signed hashes shows nothing. Casting the list to DECIMAL(20,0) is exact.
# Hurts:    64-bit perceptual and content hashes are uint64 when Polars, DuckDB, pandas or pyarrow write the table, and
#           lists are CSV files, whose columns are STRING by default. Images leave with the listed one whose hashes
#           differ from it in the last bits only.
# Versions: pyspark 4.0.4, pyarrow 26.0.1; needs Java 17 or newer
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.4 pyarrow==26.0.1
cd "$work"
venv/bin/python - <<'PY' 2>spark.log || { tail -20 spark.log; exit 1; }
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

last = 2**64 - 1
hashes = [last, last - 1, last - 2, 2**63 + 1, 5]
pq.write_table(pa.table({"phash": pa.array(hashes, pa.uint64())}), "unsigned.parquet")
signed = [2**62 + 1, 2**62 + 2, 2**62 + 3]
pq.write_table(pa.table({"phash": pa.array(signed, pa.int64())}), "signed.parquet")
for name, number in (("list", last - 1), ("signed", 2**62 + 2)):
    with open(f"{name}.csv", "w") as f:
        f.write(f"id\n{number}\n")

spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
         .config("spark.sql.shuffle.partitions", "1").getOrCreate())
print("pyspark", spark.version, "pyarrow", pa.__version__, "ANSI", spark.conf.get("spark.sql.ansi.enabled"))
images, listed = spark.read.parquet("unsigned.parquet"), spark.read.csv("list.csv", header=True)
print("types:", images.dtypes, listed.dtypes)
assert images.dtypes == [("phash", "decimal(20,0)")] and listed.dtypes == [("id", "string")]


def hashes_of(frame):
    return sorted(int(row.phash) for row in frame.collect())


kept = hashes_of(images.join(listed, images.phash == listed.id, "left_anti"))
literal = hashes_of(images.where(f"phash IN ('{last - 1}')"))
exact = hashes_of(images.join(listed, images.phash == listed.id.cast("decimal(20,0)"), "left_anti"))
of_signed = spark.read.parquet("signed.parquet")
text = spark.read.csv("signed.csv", header=True)
kept_signed = hashes_of(of_signed.join(text, of_signed.phash == text.id, "left_anti"))
print("listed:", last - 1)
print("uint64, text list, anti join keeps:", kept)
print("uint64, IN with that text finds:", literal)
print("uint64, list cast to DECIMAL(20,0), keeps:", exact)
print("int64, text list of", 2**62 + 2, "keeps:", kept_signed)
assert kept == [5, 2**63 + 1] and literal == [last - 2, last - 1, last]
assert exact == [5, 2**63 + 1, last - 2, last]
assert kept_signed == [2**62 + 1, 2**62 + 3]
PY
echo "as described: hashes that aren't listed match a listed text"
