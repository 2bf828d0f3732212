"""Small Iceberg tables in the suite's catalog `ice`."""

from __future__ import annotations

import itertools
import os

from pyspark.sql import DataFrame, SparkSession

from dedup_lib.publish.owners import owner_name

_NUMBERS = itertools.count()
V2 = {"format-version": "2", "write.delete.mode": "merge-on-read"}
V3 = {"format-version": "3", "write.delete.mode": "merge-on-read"}
# The rows: image_id `i0` … , image, shard 0 to 2.
ROWS = (
    "concat('i', id) AS image_id, encode(concat('image ', id), 'utf-8') AS image, "
    "CAST(id % 3 AS INT) AS shard"
)


def rows(spark: SparkSession, num_rows: int, *, start: int = 0) -> DataFrame:
    """Rows of images: image_id, image, shard."""
    return spark.sql(f"SELECT {ROWS} FROM range({start}, {start + num_rows}, 1, 2)")


def new_name() -> str:
    """An unused name of a table."""
    return f"ice.db.t{os.getpid()}_{next(_NUMBERS)}"


def iceberg_table(
    spark: SparkSession,
    num_rows: int | None = 40,
    properties: dict[str, str] = V3,
    *,
    spec: str = "",
) -> str:
    """Make a table in two data files, more if it is partitioned; return its name.

    If `num_rows` is None, it has no snapshot.
    """
    name = new_name()
    spelled = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    spark.sql(
        f"CREATE TABLE {name} (image_id STRING, image BINARY, shard INT) USING iceberg {spec} "
        f"TBLPROPERTIES ({spelled})"
    )
    if num_rows is not None:
        rows(spark, num_rows).writeTo(name).append()
    return name


def head(spark: SparkSession, name: str, ref: str = "main") -> int | None:
    """The snapshot that a branch or tag names."""
    found = spark.sql(f"SELECT snapshot_id FROM {name}.refs WHERE name = '{ref}'").collect()
    return found[0][0] if found else None


def refs(spark: SparkSession, name: str) -> list[str]:
    """The names of its branches and tags, sorted."""
    return sorted(row[0] for row in spark.sql(f"SELECT name FROM {name}.refs").collect())


def dead_name(attempt_id: str) -> str:
    """The name of an owner as a process that has ended would have left it."""
    *parts, _, machine = owner_name(attempt_id).split("-")
    return "-".join([*parts, "another", machine])
