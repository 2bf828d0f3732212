"""Locations as a user spells them: a path, a URI, or the name of a catalog table."""

from __future__ import annotations

from pathlib import Path

from dedup_lib.errors import SettingsError


def is_path(location: str) -> bool:
    """Tell a path or URI (it has a slash or a scheme) from a catalog table name."""
    return "/" in location or has_scheme(location)


def has_scheme(location: str) -> bool:
    """Tell a URI with a scheme from a plain path or name."""
    scheme, colon, _ = location.partition(":")
    return bool(colon) and scheme.replace("+", "").isalnum()


def check_location(name: str, location: str | None) -> None:
    """Check that what a setting holds reads as what was meant; None does.

    Raises:
        SettingsError: It is empty, SQL, a file that reads as a table name, or a table name where
            only a path will do.
    """
    if location is None:
        return
    flag = "--" + name.replace("_", "-")
    if not location.strip():
        raise SettingsError(f"{flag} is empty.")
    if location.lower().startswith(("delta.`", "parquet.`")):
        raise SettingsError(
            f"{flag} {location!r} is SQL: give the path itself, without {location[:6]}…."
        )
    if is_path(location):
        return
    if location.lower().endswith((".parquet", ".jsonl", ".csv")) or Path(location).exists():
        raise SettingsError(
            f"{flag} {location!r} reads as a table name, since it has no slash: "
            f"write './{location}' for the file."
        )
    if name == "work_location":
        raise SettingsError(f"{flag} must be a path (got {location!r}): write './{location}'.")
