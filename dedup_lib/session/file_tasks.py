"""Give the files of a table to Python tasks on executors, in parts of about the same cost."""

from __future__ import annotations

import logging
import os.path
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import DedupError
from dedup_lib.executor.footers import SourceFile, pack, unpack
from dedup_lib.session.conf import tuned_for_rows
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo

FILES_PER_TASK = 256
# A task copies the IDs of files of so many bytes, in a few seconds.
_BYTES_PER_TASK = 256 * 1024**2
MOST_TASKS = 20_000
# The tasks of a query all receive the files of the whole query.
_TASKS_IN_A_QUERY = 2_000
_log = logging.getLogger(__name__)


def divide(files: Sequence[FileInfo]) -> list[Sequence[FileInfo]]:
    """Divide files into parts of about the same cost, one for each task."""
    each = _BYTES_PER_TASK // FILES_PER_TASK  # the cost of opening a file
    total = sum(file.size_bytes + each for file in files)
    limit = max(_BYTES_PER_TASK, -(-total // MOST_TASKS))
    parts: list[list[FileInfo]] = [[]]
    load = 0
    for file in files:
        if parts[-1] and load >= limit:
            parts.append([])
            load = 0
        parts[-1].append(file)
        load += file.size_bytes + each
    return list(parts)


def below(directory: str, files: Sequence[FileInfo]) -> list[SourceFile]:
    """Return the paths below a directory, and the sizes."""
    return [SourceFile(file.path[len(directory) + 1 :], file.size_bytes) for file in files]


def common_directory(files: Sequence[FileInfo]) -> str:
    """Return the URI of the deepest directory that holds all files."""
    # Not commonpath: it would turn the two slashes of a URI into one.
    common = os.path.commonprefix([file.path for file in files])  # noqa: RUF071  # cut at a slash
    return common.rpartition("/")[0]


def for_each_part(
    session: Session,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], Any],
    returns: str,
    *,
    what_if_failed: Callable[[str], DedupError] | None = None,
) -> list[Any]:
    """Call a function with number and files of each part, in a task each.

    If a task fails, return no answers; or raise the error that `what_if_failed` makes of the
    reason.
    """
    try:
        with tuned_for_rows(session.spark, len(parts)):
            rows = [
                row
                for query in _queries(session.spark, parts, function, returns)
                for row in query.collect()
            ]
    except SPARK_ERRORS as failure:
        reason = find_task_failure(failure)
        if what_if_failed is not None:
            raise what_if_failed(reason) from failure
        _log.info("executors can't read files by pyarrow: %s", reason)
        return []
    answers = {row["number"]: row["answer"] for row in rows}
    return [answers[number] for number in range(len(parts))]


def answers_on_disk(
    session: Session,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], Any],
    returns: str,
) -> DataFrame:
    """Call a function as `for_each_part` does, and keep its answers on the disks of executors.

    Returns:
        One row per part: `number`, `answer`.

    Raises:
        PySparkException: A task failed.
    """
    queries = _queries(session.spark, parts, function, returns)
    stored = [query.localCheckpoint(storageLevel=StorageLevel.DISK_ONLY) for query in queries]
    return reduce(DataFrame.unionAll, stored)


def _queries(
    spark: SparkSession,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], Any],
    returns: str,
) -> Iterator[DataFrame]:
    """Yield queries that call a function for some parts each: one row per part."""
    for first in range(0, len(parts), _TASKS_IN_A_QUERY):
        yield _query(spark, first, parts[first : first + _TASKS_IN_A_QUERY], function, returns)


def _query(
    spark: SparkSession,
    first: int,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], Any],
    returns: str,
) -> DataFrame:
    packed = [pack(part) for part in parts]
    call = on_executors(lambda number: function(number, unpack(packed[number - first])), returns)
    numbers = spark.range(first, first + len(packed), 1, len(packed))
    return numbers.select(F.col("id").alias("number"), call("id").alias("answer"))
