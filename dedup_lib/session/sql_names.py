"""Spell table and column names for SQL, and refer to columns."""

from __future__ import annotations

import re
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from dedup_lib.errors import SettingsError
from dedup_lib.locations import is_path


def sql_name(location: str) -> str:
    """Spell a location for SQL: a quoted catalog name, or delta.`path`.

    Raises:
        SettingsError: The location is not a table name.
    """
    if is_path(location):
        return "delta." + quoted(location)
    return ".".join(map(quoted, name_parts(location)))


def name_parts(name: str) -> list[str]:
    """Split a catalog name into its parts, without quotes: catalog, schemas, table, branch.

    Raises:
        SettingsError: It is not a table name.
    """
    spelled = re.findall(r"`(?:[^`]|``)+`|[^.`\s]+", name)
    if ".".join(spelled) != name or not spelled:
        raise SettingsError(
            f"{name!r} is not a path (it has no slash), and not a table name (parts with a dot "
            "between them; quote a part with other characters by backticks)."
        )
    return [part[1:-1].replace("``", "`") if part[0] == "`" else part for part in spelled]


def quoted(name: str) -> str:
    """Quote one name for SQL and for column references."""
    return "`" + name.replace("`", "``") + "`"


def sql_text(value: str) -> str:
    """Spell a text for SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def values_of(name: str, *fields: str) -> Column:
    """Refer to a column so that only its values, not statistics, decide conditions on it.

    Args:
        name: The column.
        fields: The names of a nested field, from outside to inside.

    Spark passes a condition on a plain column to the reader. The reader then skips files and row
    groups by the statistics of their writer. A condition on an expression stays with Spark.
    """
    column = reduce(Column.getField, fields, F.col(quoted(name)))
    return F.coalesce(column, column)
