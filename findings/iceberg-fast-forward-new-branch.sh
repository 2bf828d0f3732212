#!/usr/bin/env bash
# Iceberg 1.11.0 on Spark 4.0.4: fast_forward to a branch whose name is misspelt succeeds, and makes a new branch
#
# Expected: `CALL system.fast_forward(table, branch, to)` moves a branch, and fails if there is none of that name, as
#           it does if `to` is misspelt.
# Happens:  with `branch => 'Main'` (or any other unknown name) it makes a branch of that name at the head of `to`. The
#           call succeeds; the only sign is that `previous_ref` is NULL. `main` stays as it was.
# Hurts:    write, audit, publish: what was audited is never published, and readers of main go on seeing the rows that
#           were deleted on the branch. If the job then drops its branch, the stray one keeps all files from expiry.
# Versions: pyspark 4.0.4, iceberg-spark-runtime-4.0_2.13 1.11.0, Java 17
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==4.0.4 setuptools
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
builder = SparkSession.builder.master("local[1]")
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
print("pyspark", pyspark.__version__, "iceberg", settings["spark.jars.packages"].rpartition(":")[2])

spark.sql("CREATE TABLE ice.db.t (image_id STRING) USING iceberg TBLPROPERTIES ('format-version' = '2')")
spark.sql("INSERT INTO ice.db.t VALUES ('a'), ('b')")
spark.sql("ALTER TABLE ice.db.t CREATE BRANCH audit")
spark.sql("DELETE FROM ice.db.t.branch_audit WHERE image_id = 'b'")
row = spark.sql("CALL ice.system.fast_forward('db.t', 'Main', 'audit')").first()
branches = sorted(ref.name for ref in spark.sql("SELECT name FROM ice.db.t.refs").collect())
seen = spark.table("ice.db.t").count()
print(row, "branches", branches, "rows that readers see", seen)
assert (row.branch_updated, row.previous_ref) == ("Main", None)
assert branches == ["Main", "audit", "main"] and seen == 2
try:
    spark.sql("CALL ice.system.fast_forward('db.t', 'main', 'Audit')")
except Exception as error:
    print("misspelt source:", str(error).splitlines()[0])
else:
    raise AssertionError("a misspelt source was accepted, too")
PY
echo "as described: the misspelt target became a branch, and main was not published"
