"""Replace a directory by another in two renames, and repair a replacement that a dead run began."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.locations import is_path, sibling
from dedup_lib.publish.locks import publishing_lock
from dedup_lib.session.storage import Storage
from dedup_lib.tables.manifest import read_manifest
from dedup_lib.tables.target import Attempt

_log = logging.getLogger(__name__)


def replace(storage: Storage, staged: str, location: str, attempt: Attempt) -> None:
    """Replace a directory by a staged one, in two renames. The caller holds the lock."""
    old = sibling(location, f"old-{attempt.attempt_id}")
    journal = sibling(location, "journal")
    # Names, not locations: another machine may spell the same location in another way.
    moved = {"old": old.rpartition("/")[2], "run": attempt.attempt_id}
    storage.write_text(journal, json.dumps(moved))
    try:
        storage.rename(location, old)
        storage.rename(staged, location)
    except BaseException:
        repair_locked(storage, location)
        raise
    try:
        storage.delete(old)
        storage.delete(journal)
    except StorageError as error:  # the output is published, and the next run deletes the rest
        _log.warning("the replaced output stays at %r for now: %s", old, error)


def repair(storage: Storage, location: str, attempt_id: str) -> None:
    """Finish or undo a replacement by a run that died between or after its two renames."""
    if not is_path(location):
        return
    canonical = storage.canonical(location)
    if _journal(storage, canonical) is not None:
        with publishing_lock(storage, canonical, attempt_id):
            repair_locked(storage, canonical)


def repair_locked(storage: Storage, location: str) -> None:
    """Put back the old output, or delete it if the new one is there. The caller holds the lock.

    Raises:
        ConflictError: Another writer wrote to the location in the meantime.
    """
    moved = _journal(storage, location)
    if moved is None:
        return
    journal = sibling(location, "journal")
    if moved.old is not None and storage.exists(moved.old):
        is_free = not storage.exists(location) or storage.delete_if_empty(location)
        if is_free:
            _log.warning("restoring %r, which a dead run moved away", location)
            storage.rename(moved.old, location)
        elif moved.run is not None and read_manifest(storage, location).get("run") == moved.run:
            storage.delete(moved.old)
        else:
            raise ConflictError(
                f"a run died while it replaced {location!r}, and another writer made something "
                f"there since then: the earlier output is at {moved.old!r}. Move away the output "
                f"that you don't want, and run again (or delete {journal!r}, to leave both)."
            )
    storage.delete(journal)


@dataclass(frozen=True)
class _Moved:
    """The content of a journal: where the old output is, and which run replaces it."""

    old: str | None
    run: str | None


def _journal(storage: Storage, location: str) -> _Moved | None:
    journal = sibling(location, "journal")
    if not storage.exists(journal):
        return None
    parent, _, prefix = sibling(location, "old-").rpartition("/")
    try:
        values = json.loads(storage.read_text(journal))
        name, run = str(values["old"]).rpartition("/")[2], values.get("run")
    except (ValueError, TypeError, KeyError, AttributeError):
        # Usually the run died while it wrote the journal: then it did not move an old output.
        moved = [name for name in storage.list_names(parent) if name.startswith(prefix)]
        name, run = moved[0] if len(moved) == 1 else "", None
    # Others may be able to write a journal: it must not make a run move or delete other things.
    return _Moved(f"{parent}/{name}" if name.startswith(prefix) else None, run)
