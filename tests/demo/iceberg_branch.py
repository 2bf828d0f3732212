"""The demo's part on Iceberg: rows go in place, by a branch that is verified before it counts."""

from __future__ import annotations

from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Settings, run
from tests.demo.steps import Json, Places, check

TABLE = "lake.demo.images"


def make_table(spark: SparkSession, places: Places) -> None:
    """Copy the image table to Iceberg, with the way of deletes that leaves images alone."""
    writer = spark.read.parquet(str(places.images)).writeTo(TABLE).using("iceberg")
    writer = writer.tableProperty("format-version", "3")
    writer.tableProperty("write.delete.mode", "merge-on-read").create()


def delete_in_place(spark: SparkSession, places: Places) -> Json:
    """Remove the listed rows from the table itself, and see that no data file was written."""
    before = _data_files(spark)
    settings = Settings(
        images=TABLE,
        duplicate_ids=(DuplicateIds(str(places.duplicates)),),
        method="in-place",
        report=str(places.report("iceberg")),
    )
    report = run(spark, settings).as_dict()
    check("data files of the Iceberg table", _data_files(spark), before)
    deletes = spark.table(f"{TABLE}.delete_files").select("file_path", "file_size_in_bytes")
    written = sum(row["file_size_in_bytes"] for row in deletes.distinct().collect())
    print(
        f"   {TABLE}, snapshot {report['output']['version']}: {report['total_seconds']:.1f} s; "
        f"{len(before)} data files as before, {written / 1e3:.1f} KB hide the removed rows"
    )
    return report


def _data_files(spark: SparkSession) -> list[str]:
    rows = spark.table(f"{TABLE}.data_files").select("file_path").collect()
    return sorted(row["file_path"] for row in rows)
