"""Read settings, cores and tasks of a Spark session, and name its jobs; classic and Connect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

_NAME = "remove-duplicates"
_DESCRIPTION = "spark.job.description"


def is_connect(spark: SparkSession) -> bool:
    """Tell whether a session is one of Spark Connect."""
    return ".connect." in type(spark).__module__


def get_setting(spark: SparkSession, key: str) -> str | None:
    """Return a setting of a session; None if it is not set, or the platform hides it."""
    try:
        value = spark.conf.get(key, None)
    except PySparkException:
        return None
    return None if value is None else str(value)


def is_on_one_machine(spark: SparkSession) -> bool:
    """Tell whether the driver and all tasks run on this machine, and so share a disk."""
    return not is_connect(spark) and (get_setting(spark, "spark.master") or "").startswith("local")


@contextmanager
def name_jobs(spark: SparkSession) -> Iterator[Callable[[str], None]]:
    """Yield a function that names the following jobs after a step of the run.

    Spark's UI shows the names. On classic Spark the name is the description of a job; the caller's
    description is restored at the end. On Spark Connect, which describes jobs itself, it is a tag.
    """
    with (_tags if is_connect(spark) else _descriptions)(spark) as describe:
        yield lambda step: describe(f"{_NAME}: {step}" if step else _NAME)


def job_description(spark: SparkSession) -> str | None:
    """Return the current description of jobs, on classic Spark."""
    return spark.sparkContext.getLocalProperty(_DESCRIPTION)


@contextmanager
def count_tasks(spark: SparkSession) -> Iterator[Callable[[], tuple[int, int]]]:
    """Yield a function that returns two numbers: finished tasks and all tasks of current stages.

    Any thread may call it. The numbers are those of the whole application.
    """
    if not is_connect(spark):
        yield lambda: _active_tasks(spark)
        return
    latest = (0, 0)

    def listen(stages: Iterable[Any] | None, done: bool, **_: Any) -> None:
        nonlocal latest
        some = () if stages is None or done else tuple(stages)
        latest = (sum(stage.num_completed_tasks for stage in some), sum(s.num_tasks for s in some))

    spark.registerProgressHandler(listen)
    try:
        yield lambda: latest
    finally:
        spark.removeProgressHandler(listen)


def cores(spark: SparkSession) -> int:
    """Return how many tasks Spark runs at once, by its own default."""
    if not is_connect(spark):
        return spark.sparkContext.defaultParallelism
    # Spark divides a range into as many partitions; a single row lies in the last one.
    # Spark Connect offers no other way.
    last = spark.range(1).select(F.spark_partition_id())
    return int(last.collect()[0][0]) + 1


def one_row(spark: SparkSession) -> DataFrame:
    """Return a frame of one row; constant expressions can be selected from it without a job.

    Parameters of SQL (`:name`) would be shorter, but Delta's extension (4.4) does not bind them
    from Spark 4.1 on.
    """
    return spark.sql("SELECT * FROM VALUES (1)")


def literal_rows(spark: SparkSession, rows: Sequence[Mapping[str, Any]], schema: str) -> DataFrame:
    """Return a frame of some rows, which are sent with each query.

    Args:
        spark: The session.
        rows: The rows, by column.
        schema: The columns as Spark spells them: `name string, hash bigint`.
    """
    # createDataFrame would send rows through a Python worker; the JVM can parse text itself.
    parsed = F.from_json(F.lit(json.dumps(rows)), f"array<struct<{schema}>>")
    return one_row(spark).select(F.inline(parsed))


@contextmanager
def _descriptions(spark: SparkSession) -> Iterator[Callable[[str], None]]:
    context = spark.sparkContext
    before: Any = job_description(spark)

    def describe(text: str) -> None:
        context.setLocalProperty(_DESCRIPTION, text)

    try:
        yield describe
    finally:
        context.setLocalProperty(_DESCRIPTION, before)


@contextmanager
def _tags(spark: SparkSession) -> Iterator[Callable[[str], None]]:
    tags: list[str] = []

    def describe(text: str) -> None:
        while tags:
            spark.removeTag(tags.pop())
        if text not in spark.getTags():  # a tag of the caller's stays
            spark.addTag(text)
            tags.append(text)

    try:
        yield describe
    finally:
        for tag in tags:
            spark.removeTag(tag)


def _active_tasks(spark: SparkSession) -> tuple[int, int]:
    tracker = spark.sparkContext.statusTracker()
    found = (tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds())
    stages = [stage for stage in found if stage is not None]
    done = sum(stage.numCompletedTasks for stage in stages)
    return done, sum(stage.numTasks for stage in stages)
