"""Locations as text: a path, a URI or a catalog table name, and the canonical URI of a path."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from dedup_lib.errors import SettingsError


def is_path(location: str) -> bool:
    """Tell whether a location is a path or URI (with a slash or scheme), not a table name."""
    return "/" in location or has_scheme(location)


def has_scheme(location: str) -> bool:
    """Tell whether a location is a URI with a scheme, not a plain path or name."""
    scheme, colon, _ = location.partition(":")
    return bool(colon) and scheme.replace("+", "").isalnum()


def check_location(name: str, location: str | None) -> None:
    """Refuse a location that looks like one thing, but would be read as another.

    Args:
        name: The setting.
        location: Its value; None passes.

    Raises:
        SettingsError: The location is empty or SQL, is a file but looks like a table name, or is a
            table name where only a path is possible.
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
            f"{flag} {location!r} is read as a table name, because it has no slash: "
            f"write './{location}' for the file."
        )
    if name == "work_location":
        raise SettingsError(f"{flag} must be a path (got {location!r}): write './{location}'.")


def get_scheme(canonical: str) -> str:
    """Return the scheme of a canonical location."""
    return canonical.partition(":")[0]


def local_path(canonical: str) -> str:
    """Return the path of a `file:` location on the driver's own disk."""
    return "/" + canonical.removeprefix("file:").lstrip("/")


def contains(outer: str, inner: str) -> bool:
    """Tell whether a canonical location equals or contains another one."""
    return (_comparable(inner) + "/").startswith(_comparable(outer) + "/")


def decode_path(metadata_path: str) -> str:
    """Convert a path from the spelling of `_metadata.file_path` to that of `FileInfo`."""
    text = unquote(metadata_path)
    return "file:/" + text[5:].lstrip("/") if text.startswith("file:") else text


def _comparable(canonical: str) -> str:
    scheme, colon, rest = canonical.rstrip("/").partition(":")
    return {"s3": "s3a", "s3n": "s3a"}.get(scheme, scheme) + colon + rest


def sibling(canonical: str, suffix: str) -> str:
    """Return a hidden name beside a canonical location, for the files of this job."""
    parent, _, name = canonical.rpartition("/")
    return f"{parent}/.{name}.dedup-{suffix}"


def with_parents(canonical: str) -> list[str]:
    """Return a canonical location and all directories above it, the nearest first."""
    scheme, colon, rest = canonical.partition(":")
    host = "//" + rest[2:].partition("/")[0] if rest.startswith("//") else ""
    parts = [part for part in rest.removeprefix(host).split("/") if part]
    root = f"{scheme}{colon}{host}/"
    return [root + "/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def name_of(location: str) -> str:
    """Return the last part of a location."""
    return location.rpartition("/")[2]


def child(directory: str, name: str) -> str:
    """Return the location of an entry in a canonical directory."""
    return f"{directory.rstrip('/')}/{name}"
