"""Check that executors can hold the row groups that they read: Iceberg reads each as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import UnsupportedError
from dedup_lib.iceberg.detail import Detail, metadata_table
from dedup_lib.session.spark_session import cores, get_setting, is_on_one_machine

_MB = 1024**2
# What Spark itself needs of a heap; it sets as much aside.
_RESERVED_BYTES = 300 * _MB
_WRITTEN_BYTES = 64 * _MB
_UNITS = {"": 1, "b": 1, "k": 1024, "m": _MB, "g": 1024**3, "t": 1024**4}
_MEMORY = re.compile(r"(\d+)\s*([bkmgt]?)b?")


def check_row_groups(spark: SparkSession, detail: Detail, location: str) -> None:
    """Refuse a table whose row groups can't be held by the tasks that run at once.

    The sizes follow from the snapshot's metadata: no data file is opened. Files that do not say
    where their row groups begin are left out. Nothing is checked if the session does not tell the
    heap.

    Raises:
        UnsupportedError: The heap is too small.
    """
    heap, num_tasks = _heap_of_executors(spark)
    if heap is None or detail.snapshot_id is None:
        return
    groups = _largest_row_groups(spark, detail, num_tasks)
    if (needed := needed_bytes([size for size, _ in groups])) <= heap:
        return
    size, path = groups[0]
    raise UnsupportedError(
        f"image table {location!r} has row groups of up to {size // _MB} MB (in {path!r}), and "
        f"Iceberg reads a row group as a whole. With {num_tasks} tasks at once this takes a heap "
        f"of {-(-needed // _MB)} MB; here are {heap // _MB} MB. Give executors more memory or "
        "fewer cores, or remove the rows by --method in-place, which reads no image."
    )


def needed_bytes(sizes: Sequence[int]) -> int:
    """Return the heap for tasks that each hold one row group of the given bytes.

    Each also gathers a row group of its own that it writes. Measured: two tasks with row groups of
    250 MB run in a heap of 1,000 MB, not in one of 850 MB; with 350 MB they run in 1,200 MB.
    """
    return sum(size + _WRITTEN_BYTES for size in sizes) + _RESERVED_BYTES if sizes else 0


def memory_bytes(text: str) -> int | None:
    """Return the bytes of a value of spark.executor.memory, such as `1200m`; None if unclear."""
    match = _MEMORY.fullmatch(text.strip().lower())
    if match is None:
        return None
    return int(match[1]) * _UNITS[match[2] or "m"]  # Spark counts these settings in MB


def _heap_of_executors(spark: SparkSession) -> tuple[int | None, int]:
    """Return the bytes of one executor's heap, None if unknown, and its tasks at once."""
    is_local = is_on_one_machine(spark)
    memory = get_setting(spark, f"spark.{'driver' if is_local else 'executor'}.memory")
    num_tasks = cores(spark) if is_local else int(get_setting(spark, "spark.executor.cores") or 1)
    return None if memory is None else memory_bytes(memory), max(num_tasks, 1)


def _largest_row_groups(spark: SparkSession, detail: Detail, number: int) -> list[tuple[int, str]]:
    """Return the size in bytes and the file of the largest row groups, largest first."""
    ends = F.expr("slice(split_offsets, 2, size(split_offsets))")
    files = metadata_table(spark, detail, "data_files").where(F.col("split_offsets").isNotNull())
    groups = files.select(
        "file_path",
        F.explode(
            F.arrays_zip(
                F.col("split_offsets").alias("first"),
                F.concat(ends, F.array("file_size_in_bytes")).alias("end"),
            )
        ).alias("at"),
    )
    size = F.col("at.end") - F.col("at.first")
    largest = groups.select(size.alias("size"), "file_path").orderBy(F.desc("size")).limit(number)
    return [(int(row["size"]), row["file_path"]) for row in largest.collect()]
