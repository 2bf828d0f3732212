"""What Spark's own status store says of the stages that this process's Spark ran."""

from __future__ import annotations

from typing import Any

from pyspark import SparkContext  # noqa: TID251  # its JVM, of Connect's server, too
from pyspark.sql import SparkSession


def stages(spark: SparkSession) -> list[Any]:
    """All stages that this session's status store still holds; it forgets the oldest ones."""
    jvm = SparkContext._jvm
    context = jvm.org.apache.spark.SparkContext.getOrCreate()
    context.listenerBus().waitUntilEmpty()
    quantiles = SparkContext._gateway.new_array(jvm.double, 0)
    found = context.statusStore().stageList(None, False, False, quantiles, None)
    return [found.apply(index) for index in range(found.size())]


def newest_stage(spark: SparkSession) -> int:
    """The number of the newest stage; -1 where there is none yet."""
    return max((stage.stageId() for stage in stages(spark)), default=-1)


def stages_since(spark: SparkSession, newest: int) -> list[Any]:
    """The stages that were started after one."""
    return [stage for stage in stages(spark) if stage.stageId() > newest]
