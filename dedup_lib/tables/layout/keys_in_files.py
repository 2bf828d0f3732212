"""Partition columns that the files also have, as Polars writes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from dedup_lib.errors import TableFormatError
from dedup_lib.locations import decode_path
from dedup_lib.session.sql_names import quoted
from dedup_lib.tables.columns import metadata

# The directory of rows without a value.
_NULL = "__HIVE_DEFAULT_PARTITION__"


def keys_in_files(
    location: str, partitions: Sequence[str], columns: Collection[str]
) -> tuple[str, ...]:
    """Return the partition columns that are also columns of the files: all of them, or none.

    Raises:
        TableFormatError: Only some of them are, or their names differ by case.
    """
    lower = {name.lower() for name in columns}
    shared = [name for name in partitions if name.lower() in lower]
    if not shared or set(partitions) <= set(columns):
        return tuple(shared)
    others = [name for name in partitions if name not in columns]
    raise TableFormatError(
        f"image table {location!r} has {shared[0]!r} both as a directory name and as a column of "
        f"its files, but not {others[0]!r}, spelled so: they could differ. All names of "
        "directories must be columns of the files, or none."
    )


def check_keys(frame: DataFrame, keys: Sequence[str]) -> None:
    """Check that a column of the files has the value in the name of each file's directory.

    Args:
        frame: The rows, with the columns of the files.
        keys: The partition columns that the files have.

    Raises:
        TableFormatError: A file has another value, or a NULL.

    *Cost:* a scan of these columns. Statistics of files are not used.
    """
    if not keys:
        return
    values = [F.col(quoted(name)).cast("string") for name in keys]
    found = (
        frame.groupBy(metadata(frame, "file_path").alias("path"))
        .agg(F.array(*(_summary(value) for value in values)).alias("columns"))
        .collect()
    )
    for row in found:
        path = decode_path(row["path"])
        expected = partition_of(path)
        for name, column in zip(keys, row["columns"], strict=True):
            _check(path, name, expected[name], column)


def partition_of(path: str) -> dict[str, str | None]:
    """Return the values that the names of a file's directories hold, by column."""
    parts = (part.partition("=") for part in path.split("/")[:-1])
    return {
        unquote(name): None if value == _NULL else unquote(value)
        for name, equals, value in parts
        if equals
    }


def _summary(value: Any) -> Any:
    return F.struct(
        F.min(value).alias("least"),
        F.max(value).alias("most"),
        F.count_if(value.isNull()).alias("nulls"),
    )


def _check(path: str, name: str, expected: str | None, column: Row) -> None:
    found = {column["least"], column["most"]} - {None} | ({None} if column["nulls"] else set())
    others = [value for value in found if value != expected]
    if others:
        said, wanted = ("NULL" if value is None else repr(value) for value in (others[0], expected))
        raise TableFormatError(
            f"file {path!r} of the image table holds {said} in column {name!r}, but its directory "
            f"says {wanted}. Both must be the same text: write the table without this column in "
            "its files, or without partitions."
        )
