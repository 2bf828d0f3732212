"""Read the schema of a Parquet file: required columns, columns of simple types, types."""

from __future__ import annotations

import re
from collections import Counter

from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
)

from dedup_lib.session.storage import Leaf, ParquetSchema

_TYPES: dict[tuple[str, str | None], DataType] = {
    ("binary", "STRING"): StringType(),
    ("binary", "UTF8"): StringType(),
    ("binary", "ENUM"): StringType(),
    ("binary", None): BinaryType(),
    ("fixed_len_byte_array", None): BinaryType(),
    ("fixed_len_byte_array", "UUID"): BinaryType(),  # Spark reads it only if it is told this type
    ("boolean", None): BooleanType(),
    ("float", None): FloatType(),
    ("double", None): DoubleType(),
    ("int32", None): IntegerType(),
    ("int64", None): LongType(),
    ("int32", "DATE"): DateType(),
    ("int32", "INTEGER(8,true)"): ByteType(),
    ("int32", "INTEGER(16,true)"): ShortType(),
    ("int32", "INTEGER(8,false)"): ShortType(),
    ("int32", "INTEGER(16,false)"): IntegerType(),
    ("int32", "INTEGER(32,false)"): LongType(),
    ("int64", "INTEGER(64,false)"): DecimalType(20, 0),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_MOST_DIGITS = 38


def required_columns(schema: ParquetSchema) -> set[str]:
    """Return the top-level columns that are `required`: they have no NULL values."""
    return {
        leaf.path[0]
        for leaf in schema.leaves
        if len(leaf.path) == 1 and leaf.repetition == "required"
    }


def simple_columns(schema: ParquetSchema) -> StructType:
    """Return the top-level columns of simple types, such as IDs and scores, as Spark reads them.

    If Spark can't read all columns, it can still read these, if it is given their types. Names that
    differ only by case are left out, because Spark can't tell them apart. Names with a Hadoop
    variable are left out, because Spark would read another name.
    """
    num_names = Counter(name.lower() for name in column_names(schema))
    return StructType(
        [
            StructField(leaf.path[0], of)
            for leaf in schema.leaves
            if len(leaf.path) == 1
            and leaf.repetition != "repeated"
            and (of := _type_of(leaf)) is not None
            and num_names[leaf.path[0].lower()] == 1
            and "${" not in leaf.path[0]
        ]
    )


def _type_of(leaf: Leaf) -> DataType | None:
    decimal = _DECIMAL.fullmatch(leaf.logical or "")
    if decimal is None:
        return _TYPES.get((leaf.physical, leaf.logical))
    digits, scale = int(decimal[1]), int(decimal[2])
    return DecimalType(digits, scale) if digits <= _MOST_DIGITS else None


def holds_uuids(schema: ParquetSchema, column: str) -> bool:
    """Tell whether a top-level column has the Parquet type UUID."""
    return any(leaf.path == (column,) and leaf.logical == "UUID" for leaf in schema.leaves)


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
