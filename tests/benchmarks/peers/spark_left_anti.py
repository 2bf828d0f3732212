"""Plain Spark: the one line that a user would write, with Spark's defaults."""

from __future__ import annotations

from pyspark.sql import functions as F

from tests.benchmarks.peers.protocol import Options, Peer, Request, serve
from tests.benchmarks.peers.spark_session import start_session, task_bytes
from tests.support.spark.stages import newest_stage


class SparkLeftAnti(Peer):
    def __init__(self, options: Options) -> None:
        self.spark = start_session(options)
        self.newest = -1

    def work(self, request: Request) -> Options:
        images = self.spark.read.parquet(request.images)
        duplicates = self.spark.read.parquet(request.duplicate_ids)
        if request.options.get("broadcast"):
            duplicates = F.broadcast(duplicates)
        kept = images.join(duplicates, images["image_id"] == duplicates["id"], "left_anti")
        kept.write.parquet(request.output)
        return {}

    def details(self) -> Options:
        tasks, self.newest = task_bytes(self.spark, self.newest), newest_stage(self.spark)
        return {"tasks": tasks}


if __name__ == "__main__":
    serve(SparkLeftAnti)
