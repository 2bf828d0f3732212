"""Have Spark work out what depends on constants alone."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession


def one_row(spark: SparkSession) -> DataFrame:
    """Return a frame of one row, from which expressions on constants are selected without a job.

    SQL's own parameters (`:name`) would be shorter, but with Delta's extension they are not bound:
    its parser (Delta 4.4) does not hand them on from Spark 4.1 on.
    """
    return spark.sql("SELECT * FROM VALUES (1)")
