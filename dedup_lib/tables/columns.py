"""The names of a table's columns in its files, and the file metadata that Spark offers."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame


class FileColumns:
    """The names of a table's columns in its files; this class uses the names of the table."""

    def path(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a column's names from outside to inside."""
        return tuple(names)


def metadata(frame: DataFrame, name: str) -> Column:
    """Return a field of the hidden file metadata, whatever names the user's columns have."""
    return frame.metadataColumn("_metadata").getField(name)
