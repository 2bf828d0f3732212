"""Call the wheel's entry point as Databricks does: stdout is caught, what it returns is dropped.

The session is there before, and must be there afterwards.
"""

import contextlib
import importlib.metadata
import io

from pyspark.sql import SparkSession

distribution = importlib.metadata.distribution("dedup_lib")
(entry_point,) = (item for item in distribution.entry_points if item.name == "remove-duplicates")

spark = SparkSession.builder.getOrCreate()
caught = io.StringIO()
with contextlib.redirect_stdout(caught):
    entry_point.load()()
print(caught.getvalue(), end="")
print(spark.range(3).count(), "rows in the session that was there before")
