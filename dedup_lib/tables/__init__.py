"""The interface to table formats: find a table, pin it, and say what a run will write."""

from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.read import read_images
from dedup_lib.tables.registry import format_named, format_of, register
from dedup_lib.tables.target import Attempt, Staged, Target

__all__ = [
    "Attempt",
    "PinnedTable",
    "Staged",
    "TableFormat",
    "Target",
    "format_named",
    "format_of",
    "read_images",
    "register",
]
