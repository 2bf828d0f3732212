"""What a table's files call its columns."""

from __future__ import annotations

from collections.abc import Sequence


class FileColumns:
    """The names by which files have the columns of a table; here those of the table."""

    def path(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a column's names from outside to inside."""
        return tuple(names)
