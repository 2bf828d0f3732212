"""What a table's files call its columns, and what Spark tells of the files."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame


class FileColumns:
    """The names by which files have the columns of a table; here those of the table."""

    def path(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a column's names from outside to inside."""
        return tuple(names)


def metadata(frame: DataFrame, name: str) -> Column:
    """Return a field of the hidden file metadata, whatever the user's columns are called."""
    return frame.metadataColumn("_metadata").getField(name)
