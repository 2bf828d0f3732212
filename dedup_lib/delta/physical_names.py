"""Find the names of a Delta table's columns in its files, which differ after a rename."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import DedupError
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.tables.columns import FileColumns, metadata
from dedup_lib.tables.pinned import PinnedTable

MODE = "delta.columnMapping.mode"
_PHYSICAL_NAME = "delta.columnMapping.physicalName"
# Files of a log with the table's schema: commits, or checkpoints if the log has no commits.
_LOG_FILES = {"json": "*.json", "parquet": "*.checkpoint*.parquet"}
# Not compacted commits, which may reach beyond a version.
_LOG_FILE = r"^\d{20}\.(json$|checkpoint)"
_LOG_SCHEMA = "metaData struct<schemaString: string, configuration: map<string, string>>"


def physical_names(spark: SparkSession, images: PinnedTable) -> FileColumns | None:
    """Return the names of a table's columns in its files; None if they are unknown.

    *Cost:* with column mapping, the commits that the log still has.
    """
    if images.detail["properties"].get(MODE, "none") == "none":
        return FileColumns()
    found = read_metadata(spark, images)
    return None if found is None else PhysicalNames(json.loads(found["schemaString"]))


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


def read_metadata(spark: SparkSession, images: PinnedTable) -> Row | None:
    """Return `schemaString` and `configuration` of the pinned version from the log; None if hidden.

    *Cost:* the commits that the log still has; if none of them changed the schema, checkpoints.
    """
    version = f"{images.version or 0:020d}"
    is_known = False
    try:
        for kind, names in _LOG_FILES.items():
            reader = spark.read.format(kind).schema(_LOG_SCHEMA).option("pathGlobFilter", names)
            log = reader.load(f"{images.root}/_delta_log")
            file = metadata(log, "file_name")
            is_known |= any(f"/{version}." in path for path in log.inputFiles())
            is_there = file.rlike(_LOG_FILE) & (F.substring(file, 1, 20) <= version)
            rows = log.where(is_there & log["metaData.schemaString"].isNotNull())
            newest = rows.select(F.max_by("metaData", file).alias("metaData"))
            if (found := newest.collect()[0]["metaData"]) is not None:
                return found if is_known else None
    except (*SPARK_ERRORS, DedupError):  # for example, some catalogs hide the log
        return None
    return None
