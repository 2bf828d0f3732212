#!/usr/bin/env bash
# Iceberg 1.11.0 on Spark 4.0.4: add_files takes in a file whose column names differ by case, and the column is NULL
#
# Expected: add_files checks that a file has the table's columns, or finds `image_id` for `IMAGE_ID` as Spark does, which
#           compares names without regard to case.
# Happens:  the file is taken in. Each value of the column is NULL, also where the column is the only one of the file.
#           A filter on it finds nothing and a DELETE deletes nothing, both without an error.
# Hurts:    tables made from Parquet of several writers (a database that writes IDs in upper case): a delete of listed IDs
#           reports success and leaves the rows of these files.
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

spark.range(4).selectExpr("concat('i', id) AS image_id").write.parquet("files")
spark.sql("CREATE TABLE ice.db.t (IMAGE_ID STRING) USING iceberg TBLPROPERTIES ('format-version' = '2')")
print(spark.sql("CALL ice.system.add_files('db.t', '`parquet`.`files`')").first())
by_spark = spark.read.schema("IMAGE_ID STRING").parquet("files").where("IMAGE_ID IS NOT NULL").count()
spark.sql("DELETE FROM ice.db.t WHERE IMAGE_ID = 'i1'")
rows = [row[0] for row in spark.table("ice.db.t").collect()]
print("IDs that Spark finds in the files:", by_spark, "IDs in the table after a delete of one:", rows)
assert by_spark == 4 and rows == [None] * 4
PY
echo "as described: all values are NULL, and the delete removed nothing"
