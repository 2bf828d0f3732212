"""The data files of a table, as executors read them without Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dedup_lib.executor.shards.packing.stored_columns import StoredSchema
from dedup_lib.session.storage import FileInfo


@dataclass(frozen=True)
class DataFiles:
    """The data files of a pinned table, and what of their rows the table shows.

    Attributes:
        root: The URI of a directory that holds all files.
        files: The files, in the order of their paths; at least one.
        partitions: The values of the partition columns, by path; a file without them may lack.
        schema: The schema of the table; None if the files have its columns, and the values of
            partition columns are texts.
        hides_rows: Whether the table may hide rows of its files.
    """

    root: str
    files: tuple[FileInfo, ...]
    partitions: Mapping[str, Mapping[str, str | None]]
    schema: StoredSchema | None = None
    hides_rows: bool = False
