"""Make an Iceberg table `lake.db.images` and a list, run the job on them, print what is left.

Usage: job_on_s3a.py LIST JOBS, with JOBS as a JSON list of [flags, table to read afterwards]. It
prints a line for each: exit code and IDs, as JSON.
"""

import contextlib
import io
import json
import sys

from pyspark.sql import SparkSession

from dedup_lib.cli import run_command
from tests.support.tables.iceberg import V2, rows

spark = SparkSession.builder.getOrCreate()
properties = ", ".join(f"'{key}' = '{value}'" for key, value in V2.items())
spark.sql("CREATE NAMESPACE lake.db")
spark.sql(
    "CREATE TABLE lake.db.images (image_id STRING, image BINARY, shard INT) USING iceberg "
    f"TBLPROPERTIES ({properties})"
)
rows(spark, 40).writeTo("lake.db.images").append()
spark.sql("SELECT explode(array('i3', 'i17')) AS id").write.parquet(sys.argv[1])
for flags, table in json.loads(sys.argv[2]):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = run_command(flags)
    read = spark.table(table) if table.startswith("lake.") else spark.read.parquet(table)
    ids = sorted(row["image_id"] for row in read.collect())
    print(json.dumps([code, ids, json.loads(said.getvalue())]), flush=True)
