"""Divide files into groups, one group for each Spark task."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dedup_lib.session.spark_session import one_row

# Each group of files is a task. A Python task itself costs 0.1 s, so there are few and large tasks.
# But there are four for each core, so that no core waits long for the last task.
LEAST_GROUP_BYTES = 32 * 1024**2
MOST_GROUP_BYTES = 256 * 1024**2
GROUPS_PER_CORE = 4
MOST_GROUPS = 20_000


def bytes_per_group(total_bytes: int, cores: int) -> int:
    """Return the total weight that the files of a group should have."""
    wanted = total_bytes // (GROUPS_PER_CORE * cores)
    return max(LEAST_GROUP_BYTES, min(MOST_GROUP_BYTES, wanted))


def spread(weights: Sequence[int], group_bytes: int, most_groups: int = MOST_GROUPS) -> list[int]:
    """Spread files over groups of about equal weight; the heaviest group comes first.

    Args:
        weights: The cost of each file, in bytes.
        group_bytes: The weight that a group should have.
        most_groups: The largest number of groups.

    Returns:
        The number of each file's group, from 0, in the order of `weights`.
    """
    wanted = min(len(weights), most_groups, -(-sum(weights) // group_bytes))
    loads = [(0, group) for group in range(wanted)]
    chosen = [0] * len(weights)
    for index in sorted(range(len(weights)), key=lambda index: -weights[index]):
        load, group = loads[0]
        chosen[index] = group
        heapq.heapreplace(loads, (load + weights[index], group))
    order = {group: rank for rank, (_, group) in enumerate(sorted(loads, reverse=True))}
    return [order[group] for group in chosen]


def partition_keys(spark: SparkSession, num_partitions: int) -> list[int]:
    """Return keys such that `repartition` by key puts each group of rows in a separate partition.

    Spark selects the partition of a row by the hash of its key modulo the number of partitions.
    The keys are chosen so that this gives 0, 1, 2, …
    """
    tried = 20 * num_partitions  # enough for nearly all; a few groups may share a partition
    # Spark's optimiser computes this from constants, without a job.
    tries = F.sequence(F.lit(0).cast("bigint"), F.lit(tried - 1).cast("bigint"))
    hashed = F.transform(tries, lambda key: F.pmod(F.hash(key), F.lit(num_partitions)))
    partitions = one_row(spark).select(hashed).collect()[0][0]
    found = {partition: key for key, partition in enumerate(partitions)}
    return [found.get(partition, partition) for partition in range(num_partitions)]
