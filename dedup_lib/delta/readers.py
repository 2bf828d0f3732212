"""What other programs than Spark make of a Delta table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns_with_escapes(columns: Sequence[str], paths: Iterable[str]) -> list[str]:
    """Find the partition columns with values that need escapes in the paths of data files.

    Polars 2.1 does not find the deletion vector of a file in such a partition. See docs/readers.md.

    Args:
        columns: The partition columns, in the order of the directories.
        paths: The paths of the data files, as `_metadata.file_path` spells them.
    """
    found = set()
    for path in paths if columns else ():
        # With column mapping the directories have other names, and no values.
        directories = path.split("/")[-len(columns) - 1 : -1]
        found |= {
            column
            for column, directory in zip(columns, directories, strict=False)
            if "=" in directory and ("%" in directory or not directory.isascii())
        }
    return [column for column in columns if column in found]
