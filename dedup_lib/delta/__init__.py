"""Delta tables: the table format, and the methods that only Delta offers."""

from dedup_lib.delta.format import DeltaFormat

__all__ = [
    "DeltaFormat",
]
