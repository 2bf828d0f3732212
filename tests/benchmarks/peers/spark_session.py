"""The Spark session of a peer, and what its tasks did."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from tests.benchmarks.peers.protocol import Options
from tests.support.spark.stages import stages_since

# Names of Spark's stage metrics, by what they are called in the results.
TASK_METRICS = {
    "input_bytes": "inputBytes",
    "output_bytes": "outputBytes",
    "shuffle_bytes": "shuffleWriteBytes",
    "spilled_bytes": "diskBytesSpilled",
}


def start_session(options: Options, **confs: str) -> SparkSession:
    """Start local Spark: as many cores as `threads`, a driver's heap of `heap`."""
    folder = Path(options["folder"])
    builder = SparkSession.builder.master(f"local[{options['threads']}]").appName("benchmark")
    for key, value in {
        "spark.driver.memory": options["heap"],
        "spark.driver.extraJavaOptions": options["java_options"],
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **confs,
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def task_bytes(spark: SparkSession, newest: int) -> Options:
    """Add up what the tasks of the stages after one read, wrote, shuffled and spilled."""
    stages = stages_since(spark, newest)
    return {
        name: sum(getattr(stage, metric)() for stage in stages)
        for name, metric in TASK_METRICS.items()
    }
