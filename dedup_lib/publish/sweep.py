"""Delete files that killed runs left beside an output."""

from __future__ import annotations

import contextlib
import logging

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.locations import sibling
from dedup_lib.publish.locks import take_over
from dedup_lib.publish.owners import died_here
from dedup_lib.session.storage import Storage
from dedup_lib.tables.manifest import MANIFEST_SUFFIX

OWNER_FILE = "owner.json"
_LOCKS = ("stale-lock-", "claim-")
_log = logging.getLogger(__name__)


def sweep(storage: Storage, location: str, attempt_id: str) -> None:
    """Delete files that killed runs of this machine left beside a location.

    Args:
        storage: The session's file systems.
        location: A canonical location.
        attempt_id: The name of the calling run, whose files stay.
    """
    parent, _, _ = location.rpartition("/")
    prefix = sibling(location, "").rpartition("/")[2]
    for name in storage.list_names(parent):
        suffix = name.removeprefix(prefix)
        if not name.startswith(prefix) or suffix.startswith(
            (attempt_id, "old-", "journal", MANIFEST_SUFFIX)
        ):
            continue
        if suffix == f"claim-{attempt_id}" or (storage.is_remote and suffix.startswith("claim-")):
            continue  # the client may have died, but its server may still be working
        # Another run may delete the same files at the same time.
        with contextlib.suppress(ConflictError, StorageError):
            if suffix == "lock":
                take_over(storage, f"{parent}/{name}", location, attempt_id)
            else:
                _sweep_one(storage, f"{parent}/{name}", is_lock=suffix.startswith(_LOCKS))


def _sweep_one(storage: Storage, location: str, *, is_lock: bool) -> None:
    owner_file = location if is_lock else f"{location}/{OWNER_FILE}"
    if not storage.exists(owner_file):
        # The run was killed before it wrote the owner file. A companion that was handed over
        # also has no such file, but it is never empty.
        if storage.delete_if_empty(location):
            _log.info("deleting %r, which is empty", location)
        elif not location.endswith("-companion"):
            _log.warning("%r has no known owner: delete it if no run is working there", location)
    elif not died_here(storage.read_text(owner_file)):
        _log.warning(
            "%r belongs to another run, or to a run that died on another machine", location
        )
    else:
        _log.info("deleting %r, left by a run that was killed", location)
        if is_lock:
            storage.delete(location)
        else:
            delete_owned(storage, location)


def delete_owned(storage: Storage, directory: str) -> None:
    """Delete a directory, its owner file last: if this is cut off, the owner is still known."""
    is_link = (
        storage.canonical(directory) != directory
    )  # then its target does not belong to the run
    if is_link:
        storage.delete(directory)
    else:
        storage.delete_directory(directory, last=OWNER_FILE)  # and its checksum
