"""The names of a table's columns in its files, and the file metadata that Spark offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame


class FileColumns:
    """The names of a table's columns in its files; this class uses the names of the table."""

    def path(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a column's names from outside to inside."""
        return tuple(names)


class RowPlaces(NamedTuple):
    """Where the rows of a table are: columns for a frame of its rows.

    Attributes:
        file_path: The path of the file, as `_metadata.file_path` spells it.
        row_index: The position in the file, counted from 0.
        size_bytes: The size of the file.
        modified_ms: When the file was modified, in ms since 1970.
    """

    file_path: Column
    row_index: Column
    size_bytes: Column
    modified_ms: Column


def metadata(frame: DataFrame, name: str) -> Column:
    """Return a field of the hidden file metadata, whatever names the user's columns have."""
    return frame.metadataColumn("_metadata").getField(name)
