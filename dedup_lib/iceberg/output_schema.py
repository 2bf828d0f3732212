"""Check whether an existing Iceberg table can take the rows of a run."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import UnsupportedError
from dedup_lib.iceberg.detail import read_detail


def check_can_follow(spark: SparkSession, location: str, schema: StructType) -> None:
    """Check that a table can be updated by rows of a schema; write nothing.

    Raises:
        UnsupportedError: It has other columns, or its version has no deletes.
    """
    detail = read_detail(spark, location)
    if detail.format_version == 1:
        raise UnsupportedError(
            f"output {location!r} has format version 1, which has no row-level deletes. To raise "
            f"it: ALTER TABLE {detail.name} SET TBLPROPERTIES ('format-version' = '2')."
        )
    if differing := _differing_columns(spark.table(detail.name).schema, schema):
        raise UnsupportedError(
            f"output {location!r} has other columns than the image table ({differing}). Add a new "
            f"column to it (ALTER TABLE {detail.name} ADD COLUMN …). After other changes, drop the "
            "table, for a full run."
        )


def check_same_columns(there: StructType, schema: StructType, location: str) -> None:
    """Check that rows can replace those of a table: all its snapshots share one schema.

    Raises:
        UnsupportedError: The table has other columns.
    """
    if differing := _differing_columns(there, schema):
        raise UnsupportedError(
            f"output {location!r} has other columns than the new rows ({differing}), and all "
            "snapshots of an Iceberg table share their columns. Drop the table, or choose another "
            "location."
        )


def _differing_columns(there: StructType, schema: StructType) -> str:
    """Return the names of columns that differ by name or type, in one text; empty for none."""
    old = {field.name: field.dataType.simpleString() for field in there}
    new = {field.name: field.dataType.simpleString() for field in schema}
    names = old.keys() | new.keys()
    return ", ".join(sorted(name for name in names if old.get(name) != new.get(name)))
