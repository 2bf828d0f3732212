"""Find the names of a Delta table's columns in its files, which differ after a rename."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import DedupError
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.tables.columns import FileColumns, metadata
from dedup_lib.tables.pinned import PinnedTable

_MODE = "delta.columnMapping.mode"
_PHYSICAL_NAME = "delta.columnMapping.physicalName"
# Files of a log with the table's schema: commits, or checkpoints if the log has no commits.
_LOG_FILES = {"json": "*.json", "parquet": "*.checkpoint*.parquet"}
_LOG_SCHEMA = "metaData struct<schemaString: string>"


def physical_names(spark: SparkSession, images: PinnedTable) -> FileColumns | None:
    """Return the names of a table's columns in its files; None if they are unknown.

    *Cost:* with column mapping, the commits that the log still has.
    """
    if images.detail["properties"].get(_MODE, "none") == "none":
        return FileColumns()
    schema = _schema_of(spark, images)
    return None if schema is None else PhysicalNames(schema)


class PhysicalNames(FileColumns):
    """The names of mapped columns, from a schema in the log."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def path(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a column's names from outside to inside."""
        found: list[str] = []
        schema = self._schema
        for name in names:
            fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
            field: Any = next((one for one in fields if one["name"] == name), {})
            found.append(field.get("metadata", {}).get(_PHYSICAL_NAME, name))
            schema = field.get("type")
        return tuple(found)


def _schema_of(spark: SparkSession, images: PinnedTable) -> Any:
    """Return the newest schema in a log; None if no schema could be read."""
    try:
        for kind, names in _LOG_FILES.items():
            reader = spark.read.format(kind).schema(_LOG_SCHEMA).option("pathGlobFilter", names)
            log = reader.load(f"{images.root}/_delta_log")
            file, text = metadata(log, "file_name"), log["metaData.schemaString"]
            newest = log.where(text.isNotNull()).select(F.max(F.struct(file, text)).alias("newest"))
            if (found := newest.collect()[0]["newest"]) is not None:
                return json.loads(found[1])
    except (*SPARK_ERRORS, DedupError):  # for example, some catalogs hide the log
        return None
    return None
