"""What Spark says of its cores and jobs, and shows of these: classic Spark and Spark Connect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

_NAME = "remove-duplicates"
_DESCRIPTION = "spark.job.description"


def is_connect(spark: SparkSession) -> bool:
    """Tell a session of Spark Connect from a classic one."""
    return ".connect." in type(spark).__module__


def setting_of(spark: SparkSession, key: str) -> str | None:
    """Return a session's setting; None where it has none, or the platform does not tell it."""
    try:
        value = spark.conf.get(key, None)
    except PySparkException:
        return None
    return None if value is None else str(value)


@contextmanager
def described_jobs(spark: SparkSession) -> Iterator[Callable[[str], None]]:
    """Give a function that names the jobs to come after a part of the run, for Spark's UI.

    On classic Spark the name is the jobs' description, which is put back as the caller had it.
    Spark Connect describes jobs itself: there it is a tag of the operations.
    """
    with (_tags if is_connect(spark) else _descriptions)(spark) as describe:
        yield lambda place: describe(f"{_NAME}: {place}" if place else _NAME)


def job_description(spark: SparkSession) -> str | None:
    """Return how jobs are described now, on classic Spark."""
    return spark.sparkContext.getLocalProperty(_DESCRIPTION)


@contextmanager
def counted_tasks(spark: SparkSession) -> Iterator[Callable[[], tuple[int, int]]]:
    """Give a function that tells how many tasks of what runs now are done, of how many.

    It may be called from any thread; the numbers are those of the whole application.
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
    # Spark cuts a range in as many parts: this asks without what Spark Connect lacks.
    rows = 100_000
    last = spark.range(rows).where(F.col("id") == rows - 1).select(F.spark_partition_id())
    return int(last.collect()[0][0]) + 1


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
        if text not in spark.getTags():  # that one is the caller's
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
