"""Delete what runs left beside an output when they were killed."""

from __future__ import annotations

import contextlib
import logging

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.publish.locks import take_over
from dedup_lib.publish.owners import died_here, sibling
from dedup_lib.session.storage import Storage

OWNER_FILE = "owner.json"
_LOCKS = ("stale-lock-", "claim-")
_log = logging.getLogger(__name__)


def sweep(storage: Storage, location: str, attempt_id: str) -> None:
    """Delete what runs on this machine left beside a location when they were killed.

    Args:
        storage: The session's file systems.
        location: A canonical location.
        attempt_id: Of the run that sweeps: what is its own stays.
    """
    parent, _, _ = location.rpartition("/")
    prefix = sibling(location, "").rpartition("/")[2]
    for name in storage.list_names(parent):
        suffix = name.removeprefix(prefix)
        if not name.startswith(prefix) or suffix.startswith((attempt_id, "old-", "journal")):
            continue
        if suffix == f"claim-{attempt_id}" or (storage.is_remote and suffix.startswith("claim-")):
            continue  # of a client that died: its server may still be at work
        # What is there now may be gone in an instant: others tidy up, too.
        with contextlib.suppress(ConflictError, StorageError):
            if suffix == "lock":
                take_over(storage, f"{parent}/{name}", location, attempt_id)
            else:
                _sweep_one(storage, f"{parent}/{name}", is_lock=suffix.startswith(_LOCKS))


def _sweep_one(storage: Storage, place: str, *, is_lock: bool) -> None:
    owner_file = place if is_lock else f"{place}/{OWNER_FILE}"
    if not storage.exists(owner_file):
        # Killed before it said whose it is; a companion that was handed over is never empty.
        if storage.delete_if_empty(place):
            _log.info("deleting %r, which is empty", place)
        elif not place.endswith("-companion"):
            _log.warning("%r is nobody's: delete it where no run is at work", place)
    elif not died_here(storage.read_text(owner_file)):
        _log.warning("%r belongs to another run, or one that died elsewhere", place)
    else:
        _log.info("deleting %r, left by a run that was killed", place)
        if is_lock:
            storage.delete(place)
        else:
            delete_owned(storage, place)


def delete_owned(storage: Storage, directory: str) -> None:
    """Delete a directory, and last what says whose it is: a deletion may be cut off, too."""
    is_link = storage.canonical(directory) != directory  # then what it leads to is not ours
    if is_link:
        storage.delete(directory)
    else:
        storage.delete_directory(directory, last=OWNER_FILE)  # and its checksum
