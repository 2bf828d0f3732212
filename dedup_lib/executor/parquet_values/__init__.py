"""Read single values of Parquet files by row position."""

from dedup_lib.executor.parquet_values.column_chunks import row_groups
from dedup_lib.executor.parquet_values.file_slices import FileSlice, UnreadValueError
from dedup_lib.executor.parquet_values.new_types import find_new_types
from dedup_lib.executor.parquet_values.values import values_at

__all__ = ["FileSlice", "UnreadValueError", "find_new_types", "row_groups", "values_at"]
