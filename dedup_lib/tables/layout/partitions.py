"""Read the partitions of a directory of Parquet files from the names of its sub-directories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from dedup_lib.errors import TableFormatError
from dedup_lib.session.storage import FileInfo

# A percent-encoded byte that is not ASCII.
_NOT_ASCII = re.compile(r"%[89A-Fa-f][0-9A-Fa-f]")


def relative_parts(location: str, file: FileInfo) -> list[str]:
    """Return the parts of a file's path below a directory.

    If the location is the file itself, return only its name.

    Raises:
        TableFormatError: The file lies outside the directory: names in a store may hold `..`.
    """
    if file.path == location:
        return [location.rpartition("/")[2]]
    root = location.rstrip("/") + "/"
    parts = file.path.removeprefix(root).lstrip("/").split("/")
    if not file.path.startswith(root) or {".", ".."}.intersection(parts):
        raise TableFormatError(f"file {file.path!r} was listed, but is not in {location!r}.")
    return parts


def partition_columns_of(location: str, files: Sequence[FileInfo], *, what: str) -> tuple[str, ...]:
    """Return the partition columns of a Parquet table, which its directory names hold.

    Raises:
        TableFormatError: A sub-directory is not a partition, or the files lie at different depths
            or below different partition columns.
    """
    layouts = {}
    for file in files:
        directories = relative_parts(location, file)[:-1]
        for directory in directories:
            name, equals, value = directory.partition("=")
            if name and equals and not value:
                raise TableFormatError(
                    f"{what} {location!r} holds the sub-directory {directory!r}: a partition with "
                    "an empty value, which Spark can't read. DuckDB writes an empty string so. "
                    "Write the table with another value in its place, or without partitions; or "
                    f"rename the directory, such as '{directory}empty'."
                )
            if not equals or not name:
                raise TableFormatError(
                    f"{what} {location!r} holds the sub-directory {directory!r}, which is "
                    "not a partition (name=value). If another program keeps a table here, read it "
                    "by that program; otherwise give the directory of one table."
                )
        layouts[tuple(unquote(part.partition("=")[0]) for part in directories)] = file.path
    if len(layouts) > 1:
        shown = "; ".join(f"{list(names)} as in {path!r}" for names, path in layouts.items())
        raise TableFormatError(f"{what} {location!r} has files at different depths: {shown}.")
    return next(iter(layouts))


def misread_partitions(location: str, files: Sequence[FileInfo]) -> dict[str, str]:
    """Find partition columns with values that Spark reads as other texts.

    Many programs write a value as UTF-8, percent-encoded: `split=caf%C3%A9`. Spark takes each byte
    for a character.

    Returns:
        For each such column, a sentence that says why Spark can't read it, and what to do.
    """
    return {
        unquote(part.partition("=")[0]): (
            f"image table {location!r}: Spark would change the value of the directory {part!r}, "
            "because it does not decode UTF-8 there. Write Parquet by --engine arrow, without a "
            "condition on this column; or rename the directory, without percent signs."
        )
        for file in files
        for part in relative_parts(location, file)[:-1]
        if _NOT_ASCII.search(part)
    }
