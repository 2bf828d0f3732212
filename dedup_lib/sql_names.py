"""Spell table and column names for SQL."""

from __future__ import annotations

import re

from dedup_lib.errors import SettingsError
from dedup_lib.locations import is_path


def sql_name(location: str) -> str:
    """Spell a location for SQL: a quoted catalog name, or delta.`path`.

    Raises:
        SettingsError: It is no table name of one to three parts.
    """
    if is_path(location):
        return "delta." + quoted(location)
    parts = re.findall(r"`(?:[^`]|``)+`|[^.`\s]+", location)
    if ".".join(parts) != location or not 1 <= len(parts) <= 3:
        raise SettingsError(
            f"{location!r} is neither a path (it has no slash) nor a table name of one to "
            "three parts."
        )
    return ".".join(part if part.startswith("`") else quoted(part) for part in parts)


def quoted(name: str) -> str:
    """Quote one name for SQL and for column references."""
    return "`" + name.replace("`", "``") + "`"
