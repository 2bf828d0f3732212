"""Groups of files that are one task each."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dedup_lib.session.spark_session import one_row

# Each group of files is a task. A Python task costs 0.1 s of its own: so few and large ones; but
# four for each core, so that none waits long for the last.
LEAST_GROUP_BYTES = 32 * 1024**2
MOST_GROUP_BYTES = 256 * 1024**2
GROUPS_PER_CORE = 4
MOST_GROUPS = 20_000


def bytes_per_group(total_bytes: int, cores: int) -> int:
    """Return what the files of a group should weigh together."""
    wanted = total_bytes // (GROUPS_PER_CORE * cores)
    return max(LEAST_GROUP_BYTES, min(MOST_GROUP_BYTES, wanted))


def spread(weights: Sequence[int], group_bytes: int, most_groups: int = MOST_GROUPS) -> list[int]:
    """Spread files over groups so that these weigh about the same, the heaviest group first.

    Args:
        weights: What the work on each file costs, as bytes.
        group_bytes: What a group should weigh.
        most_groups: How many there may be.

    Returns:
        The number of each file's group, from 0, in the order of the weights.
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
    """Return keys by which `repartition` puts each row group of rows in a partition of its own.

    Spark places a row by the hash of its key: these are keys whose hashes are 0, 1, 2, …
    """
    tried = 20 * num_partitions  # enough for nearly all: a partition may be left to share
    # Of a constant, Spark's optimiser works this out: no job is started.
    tries = F.sequence(F.lit(0).cast("bigint"), F.lit(tried - 1).cast("bigint"))
    hashed = F.transform(tries, lambda key: F.pmod(F.hash(key), F.lit(num_partitions)))
    partitions = one_row(spark).select(hashed).collect()[0][0]
    found = {partition: key for key, partition in enumerate(partitions)}
    return [found.get(partition, partition) for partition in range(num_partitions)]
