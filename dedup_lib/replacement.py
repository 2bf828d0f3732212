"""Put a directory in the place of another, and repair what a run that died left half done."""

from __future__ import annotations

import json
import logging
from typing import Any

from dedup_lib.locations import is_path
from dedup_lib.parquet_files import MANIFEST_NAME
from dedup_lib.publish_lock import Attempt, publishing_lock, sibling
from dedup_lib.storage import Storage

_log = logging.getLogger(__name__)


def replace(storage: Storage, staged: str, location: str, attempt: Attempt) -> None:
    """Put a staged directory in the place of another one, in two renames; the lock is held."""
    old = sibling(location, f"old-{attempt.attempt_id}")
    journal = sibling(location, "journal")
    storage.write_text(journal, json.dumps({"old": old}))
    try:
        storage.rename(location, old)
        storage.rename(staged, location)
    except BaseException:
        repair_locked(storage, location)
        raise
    storage.delete(old)
    storage.delete(journal)


def repair(storage: Storage, location: str, attempt_id: str) -> None:
    """Put back the old output where a run died between the two renames that replace it."""
    if not is_path(location):
        return
    canonical = storage.canonical(location)
    if _journal(storage, canonical) is not None:
        with publishing_lock(storage, canonical, attempt_id):
            repair_locked(storage, canonical)


def repair_locked(storage: Storage, location: str) -> None:
    """Put back the old output, or delete it where the new one is there; the lock is held."""
    old = _journal(storage, location)
    if old is None:
        return
    if storage.exists(location):
        storage.delete(old)
    elif storage.exists(old):
        _log.warning("putting back %r, which a run that died had moved away", location)
        storage.rename(old, location)
    storage.delete(sibling(location, "journal"))


def read_manifest(storage: Storage, location: str) -> dict[str, Any]:
    """Read a directory's manifest; empty where there is none that can be read."""
    path = f"{location}/{MANIFEST_NAME}"
    if not storage.exists(path):
        return {}
    try:
        values = json.loads(storage.read_text(path))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def write_manifest(storage: Storage, location: str, manifest: dict[str, Any]) -> None:
    """Write a directory's manifest, replacing one that is there."""
    storage.write_text(f"{location}/{MANIFEST_NAME}", json.dumps(manifest, indent=2))


def _journal(storage: Storage, location: str) -> str | None:
    journal = sibling(location, "journal")
    if not storage.exists(journal):
        return None
    prefix = sibling(location, "old-")
    none = f"{prefix}none"
    try:
        old = str(json.loads(storage.read_text(journal))["old"])
    except (ValueError, TypeError, KeyError):
        return none  # died while writing it: nothing was moved yet
    # Who may write beside the output must not have other things moved or deleted by that.
    return old if old.startswith(prefix) and "/" not in old[len(prefix) :] else none
