"""Read the schema of a Parquet file: required columns, possible ID columns, types."""

from __future__ import annotations

import re
from collections import Counter

from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType

from dedup_lib.session.storage import ParquetSchema

_ID_TYPES = {
    ("binary", "STRING"): StringType(),
    ("binary", "UTF8"): StringType(),
    ("int32", None): IntegerType(),
    ("int32", "INTEGER(32,true)"): IntegerType(),
    ("int64", None): LongType(),
    ("int64", "INTEGER(64,true)"): LongType(),
}


def required_columns(schema: ParquetSchema) -> set[str]:
    """Return the top-level columns that are `required`: they have no NULL values."""
    return {
        leaf.path[0]
        for leaf in schema.leaves
        if len(leaf.path) == 1 and leaf.repetition == "required"
    }


def id_columns(schema: ParquetSchema) -> StructType:
    """Return the top-level columns that may hold IDs, as Spark reads them.

    Names that differ only by case are left out, because Spark can't tell them apart. Names with a
    Hadoop variable are left out, because Spark would read another name.
    """
    num_names = Counter(name.lower() for name in column_names(schema))
    return StructType(
        [
            StructField(leaf.path[0], _ID_TYPES[leaf.physical, leaf.logical])
            for leaf in schema.leaves
            if len(leaf.path) == 1
            and (leaf.physical, leaf.logical) in _ID_TYPES
            and num_names[leaf.path[0].lower()] == 1
            and "${" not in leaf.path[0]
        ]
    )


def column_names(schema: ParquetSchema) -> list[str]:
    """Return the names of the top-level columns."""
    return list(dict.fromkeys(leaf.path[0] for leaf in schema.leaves))


def leaf_types(schema: ParquetSchema) -> dict[str, str]:
    """Return the type of each leaf column, by its dotted path."""
    return {leaf.dotted_path: leaf.logical or leaf.physical for leaf in schema.leaves}


def hadoop_variable(schema: StructType) -> str | None:
    """Return the first text in a schema's names and comments that Hadoop takes for a variable.

    Return None if there is no such text. Spark's Parquet code passes schemas on as a Hadoop
    setting, and Hadoop replaces variables in settings by values.
    """
    found = re.search(r"\$\{[^}\"]*\}?", schema.json())
    return None if found is None else found.group()
