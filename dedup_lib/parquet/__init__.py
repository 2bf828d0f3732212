"""Parquet directories: the table format, and the engine that rewrites its files one by one."""

from dedup_lib.parquet.format import ParquetFormat

__all__ = [
    "ParquetFormat",
]
