#!/usr/bin/env bash
# Iceberg 1.11.0 over Spark Connect 4.0.4: a query that reads two snapshots of a table reads one of them twice
#
# Expected: `option("snapshot-id", …)` says which snapshot a frame reads, also beside another frame of the table.
# Happens:  each frame alone is right. In a union or a join of two the first one's snapshot counts for both, without an
#           error; also where the other has no option and should read the newest, or names a branch by option. Spark
#           Connect analyses both frames in one go, and Spark then takes the table that it resolved before by its name
#           alone. `VERSION AS OF` and the name `t.branch_x` are right. Classic Spark analyses each frame for itself.
# Hurts:    an anti-join of yesterday's rows with today's finds no difference, whatever was deleted: a check that always
#           passes, on Connect only (serverless platforms have nothing else).
# Versions: pyspark 4.0.4 with Connect, iceberg-spark-runtime-4.0_2.13 1.11.0, Java 17
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "pyspark[connect]==4.0.4" setuptools
cd "$work"
export PYSPARK_PYTHON="$work/venv/bin/python"
venv/bin/python - <<'PY' 2>spark.log || { tail -20 spark.log; exit 1; }
import pyspark
from pyspark.sql import SparkSession

settings = {
    "spark.ui.enabled": "false",
    "spark.jars.packages": "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.ice.type": "hadoop",
    "spark.sql.catalog.ice.warehouse": "warehouse",
}
builder = SparkSession.builder.remote("local[1]")
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
print("pyspark", pyspark.__version__, "iceberg", settings["spark.jars.packages"].rpartition(":")[2])

spark.sql("CREATE TABLE ice.db.t (image_id STRING) USING iceberg TBLPROPERTIES ('format-version' = '2')")
spark.sql("INSERT INTO ice.db.t VALUES ('a'), ('b')")
spark.sql("INSERT INTO ice.db.t VALUES ('c')")
old, new = [row[0] for row in spark.sql("SELECT snapshot_id FROM ice.db.t.snapshots ORDER BY committed_at").collect()]


def by_option(snapshot):
    return spark.read.option("snapshot-id", snapshot).table("ice.db.t")


def by_sql(snapshot):
    return spark.sql(f"SELECT * FROM ice.db.t VERSION AS OF {snapshot}")


added, current = by_option(new).exceptAll(by_option(old)), spark.table("ice.db.t").exceptAll(by_option(old))
print("rows of each snapshot alone", by_option(old).count(), by_option(new).count())
print("new rows by option", added.count(), "current rows less the old", current.count())
print("new rows by VERSION AS OF", by_sql(new).exceptAll(by_sql(old)).count())
assert (by_option(old).count(), by_option(new).count()) == (2, 3)
assert (added.count(), current.count()) == (0, 0)
assert by_sql(new).exceptAll(by_sql(old)).count() == 1
PY
echo "as described: in one query both frames read the same snapshot"
