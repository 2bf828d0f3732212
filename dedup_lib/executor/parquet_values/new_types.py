"""Find columns whose types are newer than the Parquet libraries of some programs.

Source: Apache Parquet, file format: parquet.thrift, LogicalType
"""

from __future__ import annotations

from dedup_lib.executor.parquet_values.column_chunks import read_footer, walk_schema
from dedup_lib.executor.parquet_values.file_slices import FileSlice, explain_damage
from dedup_lib.executor.parquet_values.thrift import read_struct

_LOGICAL_TYPE = 10
# FLOAT16. Parquet's Java library of Spark 4.0 knows no later type.
_LAST_OLD_TYPE = 15
_NAMES = {16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY"}


def find_new_types(file: FileSlice) -> dict[str, str]:
    """Return the new logical types in a file, by the dotted path of their column.

    Args:
        file: The whole file.

    Raises:
        UnreadValueError: The footer can't be read.
    """
    with explain_damage():
        metadata, _ = read_struct(read_footer(file), 0)
        return {
            ".".join(path): _NAMES.get(number, f"number {number}")
            for path, element in walk_schema(metadata[2])
            for number in element.get(_LOGICAL_TYPE, {})
            if number > _LAST_OLD_TYPE
        }
