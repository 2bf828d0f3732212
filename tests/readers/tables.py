"""Make a small table by each method of the job: `python -m tests.readers.tables FOLDER`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Settings, run
from tests.readers.expected import REMOVED, ROWS
from tests.support.spark.home import use_quick_spark
from tests.support.spark.settings import INTERPRETED, SPARK_SETTINGS
from tests.support.tables.made import write_list, write_parquet


class Maker:
    """Makes tables below a folder, in one Spark session."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark = spark
        self.folder = folder
        ids, images, splits = zip(*ROWS, strict=True)
        rows = pa.table({"image_id": ids, "image": pa.array(images), "split": splits})
        self.rows = write_parquet(rows, folder / "made/rows.parquet")
        self.duplicates = write_list(folder / "made/duplicates.parquet", REMOVED)

    def make_all(self) -> None:
        """Make the tables of `expected`; what is no table of it is below `made`."""
        self.make_rewrites()
        self.remove(self.delta("made/delta"), method="clone", output=self.at("clone"))
        self.make_in_place("in_place")
        self.make_in_place("in_place_vacuumed")
        self.make_in_place("in_place_purged", purge=True)
        self.make_in_place("in_place_partitioned", split_by=["split"])
        self.make_in_place("in_place_mapped", properties={"delta.columnMapping.mode": "name"})
        self.make_in_place("in_place_optimized", files=1)
        self.spark.sql(f"OPTIMIZE delta.`{self.at('in_place_optimized')}`")

    def make_rewrites(self) -> None:
        """Make the tables that a rewrite writes, and what Spark writes without this job."""
        flat, split = self.at("made/flat"), self.at("made/split")
        self.images().write.parquet(flat)
        self.images().write.partitionBy("split").parquet(split)
        self.remove(flat, output=self.at("rewrite_parquet"))
        self.remove(flat, output=self.at("rewrite_delta"), output_format="delta")
        self.remove(split, output=self.at("rewrite_parquet_partitioned"))
        kept = self.images().where(~F.col("image_id").isin(REMOVED))
        kept.write.parquet(self.at("spark_parquet"))

    def make_in_place(self, name: str, *, purge: bool = False, **of_table: Any) -> None:
        """Make a Delta table, and remove its duplicates in place."""
        self.remove(self.delta(name, **of_table), method="in-place", purge=purge)

    def delta(
        self,
        name: str,
        *,
        files: int = 2,
        split_by: tuple[str, ...] = (),
        properties: Mapping[str, str] = {},
    ) -> str:
        """Write the rows as a Delta table with deletion vectors; return its path."""
        options = {"delta.enableDeletionVectors": "true", **properties}
        writer = self.images(files).write.format("delta").partitionBy(*split_by)
        writer.options(**options).save(self.at(name))
        return self.at(name)

    def images(self, files: int = 2) -> DataFrame:
        """Read the rows, to be written to a number of files."""
        frame = self.spark.read.parquet(str(self.rows))
        return frame.repartitionByRange(files, "image_id")

    def remove(self, images: str, **settings: Any) -> None:
        """Run the job."""
        lists = (DuplicateIds(str(self.duplicates)),)
        run(self.spark, Settings(images=images, duplicate_ids=lists, **settings))

    def at(self, name: str) -> str:
        """Return the path of a table."""
        return str(self.folder / name)


def main(folder: Path) -> None:
    """Make the tables below an empty folder."""
    use_quick_spark()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("readers")
    for key, value in (SPARK_SETTINGS | INTERPRETED).items():
        builder = builder.config(key, value)
    builder = builder.config("spark.sql.warehouse.dir", (folder / "warehouse").as_uri())
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    Maker(spark, folder).make_all()
    spark.stop()
    # The checksums of Spark's local file system: no store has them, and some readers stumble.
    for path in folder.rglob(".*.crc"):
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
