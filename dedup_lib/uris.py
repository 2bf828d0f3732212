"""Locations as text: schemes, local paths, what lies inside what."""

from __future__ import annotations

from urllib.parse import unquote


def scheme_of(canonical: str) -> str:
    """Return the scheme of a canonical location."""
    return canonical.partition(":")[0]


def local_path(canonical: str) -> str:
    """Return a `file:` location as a path of the driver's own disk."""
    return "/" + canonical.removeprefix("file:").lstrip("/")


def contains(outer: str, inner: str) -> bool:
    """Tell whether a canonical location is another one, or holds it."""
    return (_comparable(inner) + "/").startswith(_comparable(outer) + "/")


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
    """Return the location of what is in a canonical directory under a name."""
    return f"{directory.rstrip('/')}/{name}"


def decoded(metadata_path: str) -> str:
    """Turn a path as `_metadata.file_path` spells it into one as `FileInfo` does."""
    text = unquote(metadata_path)
    return "file:/" + text[5:].lstrip("/") if text.startswith("file:") else text


def _comparable(canonical: str) -> str:
    scheme, colon, rest = canonical.rstrip("/").partition(":")
    return {"s3": "s3a", "s3n": "s3a"}.get(scheme, scheme) + colon + rest
