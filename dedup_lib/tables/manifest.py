"""The manifest of a Parquet output: a small hidden file that says which run made it, and how."""

from __future__ import annotations

import json
from typing import Any

from dedup_lib.session.storage import Storage
from dedup_lib.tables.directory import MANIFEST_NAME


def read_manifest(storage: Storage, location: str) -> dict[str, Any]:
    """Read a directory's manifest; empty if there is no manifest, or it is not valid JSON."""
    path = f"{location}/{MANIFEST_NAME}"
    if not storage.exists(path):
        return {}
    try:
        values = json.loads(storage.read_text(path))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def write_manifest(storage: Storage, location: str, manifest: dict[str, Any]) -> None:
    """Write a directory's manifest; replace an existing one."""
    storage.write_text(f"{location}/{MANIFEST_NAME}", json.dumps(manifest, indent=2))
