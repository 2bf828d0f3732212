"""Delta tables: the table format, with the methods that only Delta offers."""

from dedup_lib.delta.format import DeltaFormat

__all__ = [
    "DeltaFormat",
]
