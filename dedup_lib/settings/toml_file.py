"""Settings from a TOML file: its keys are the flags' names with underscores."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from dedup_lib.errors import SettingsError, suggest
from dedup_lib.settings.fields import check_fields
from dedup_lib.settings.model import Settings
from dedup_lib.settings.values import DuplicateIds


def load_toml(path: str) -> dict[str, Any]:
    """Read settings from a TOML file, as keyword arguments of `Settings`.

    Args:
        path: A file on the driver. Its `duplicate_ids` is a string, a list of strings, or an
            array of tables whose keys are the fields of `DuplicateIds`.

    Raises:
        SettingsError: The file can't be read, a key is unknown, or a value has a wrong type.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"--config {path!r} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"--config {path!r} is not TOML: {error}.") from error
    names = [item.name for item in dataclasses.fields(Settings)]
    for key in values:
        if key not in names:
            raise SettingsError(f"--config {path!r}: unknown key {key!r}.{suggest(key, names)}")
    if "duplicate_ids" in values:
        values["duplicate_ids"] = _lists_from_toml(values["duplicate_ids"])
    if isinstance(values.get("protect_ids"), str):
        values["protect_ids"] = [values["protect_ids"]]
    for name in ("protect_ids", "storage_option"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    check_fields(Settings, values)
    return values


def _lists_from_toml(value: Any) -> tuple[DuplicateIds, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(_list_from_toml(item) for item in items)


def _list_from_toml(item: Any) -> DuplicateIds:
    if isinstance(item, str):
        return DuplicateIds(item)
    if not isinstance(item, dict):
        raise SettingsError(
            f"duplicate_ids must be locations or tables with a location (got {item!r})."
        )
    names = [known.name for known in dataclasses.fields(DuplicateIds)]
    for key in item:
        if key not in names:
            raise SettingsError(f"[[duplicate_ids]]: unknown key {key!r}.{suggest(key, names)}")
    if "location" not in item:
        raise SettingsError("[[duplicate_ids]]: a table needs a location.")
    check_fields(DuplicateIds, item, "[[duplicate_ids]]: ")
    return DuplicateIds(**item)
