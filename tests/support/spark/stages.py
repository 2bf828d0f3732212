"""What Spark's own status store says of the stages and jobs that this process's Spark ran."""

from __future__ import annotations

from typing import Any

from pyspark import SparkContext  # noqa: TID251  # its JVM, also that of Connect's server
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


def _jobs(spark: SparkSession) -> list[Any]:
    context = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    found = context.statusStore().jobsList(None)
    return [found.apply(index) for index in range(found.size())]


def newest_job(spark: SparkSession) -> int:
    """The number of the newest job; -1 where there is none yet."""
    return max((job.jobId() for job in _jobs(spark)), default=-1)


def job_descriptions(spark: SparkSession, newest: int) -> list[str]:
    """How the jobs that were started after one are described; those that aren't, by their call."""
    jobs = [job for job in _jobs(spark) if job.jobId() > newest]
    described = [(job.description(), job.name()) for job in jobs]
    return [str(text.get() if text.isDefined() else name) for text, name in described]
