"""Iceberg tables: rows are deleted on a branch, verified there, and then published."""

from dedup_lib.iceberg.format import IcebergFormat

__all__ = ["IcebergFormat"]
