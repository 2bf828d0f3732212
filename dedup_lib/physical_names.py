"""What columns of a Delta table are called in its files, where they were renamed: classic Spark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib.spark_errors import SPARK_ERRORS

_PHYSICAL_NAME = "delta.columnMapping.physicalName"


class PhysicalNames:
    """The names by which files have the columns of a table."""

    def __init__(self, spark: SparkSession, root: str, table_format: str) -> None:
        self._schema = _schema_of(spark, root) if table_format == "delta" else None

    def path(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a column's names from outside to inside; as they are where nothing is known."""
        found: list[str] = []
        schema: Any = self._schema
        for name in names:
            fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
            field: Any = next((one for one in fields if one["name"] == name), {})
            found.append(field.get("metadata", {}).get(_PHYSICAL_NAME, name))
            schema = field.get("type")
        return tuple(found)


def _schema_of(spark: SparkSession, root: str) -> dict[str, Any] | None:
    """Return a schema as Delta's log has it; None where this Delta is not to be asked so."""
    jvm: Any = spark._jvm
    try:
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, root)
        found: dict[str, Any] = json.loads(log.unsafeVolatileSnapshot().metadata().schema().json())
    except (*SPARK_ERRORS, TypeError):  # a class that is not there is a TypeError
        return None
    return found
