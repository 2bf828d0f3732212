"""Publish an output by a marker file, in a store that can't rename a directory in one step."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.publish.claims import claimed
from dedup_lib.session.storage import Storage
from dedup_lib.tables.layout.leftovers import delete_magic_directories
from dedup_lib.tables.manifest import delete_inside, noted, read_manifest, write_inside

_SUCCESS = "_SUCCESS"
_log = logging.getLogger(__name__)


@contextmanager
def open_output(storage: Storage, location: str, attempt_id: str) -> Iterator[None]:
    """Claim a location for an output, delete the files of a dead run there, and note the owner.

    The output is deleted at the end, unless it was marked as complete.

    Raises:
        ConflictError: Another run works there, or another writer wrote there in the meantime.
    """
    with claimed(storage, location, attempt_id):
        if is_incomplete(storage, location):
            _log.info("deleting %r, left incomplete by a run that died", location)
            storage.abort_uploads(location)
            storage.delete(location)
        elif storage.exists(location) and storage.list_files(location):
            raise ConflictError(f"another writer made {location!r} in the meantime.")
        write_inside(storage, location, {"incomplete": True, "run": attempt_id})
        try:
            yield
        finally:
            _delete_incomplete(storage, location, attempt_id)


def is_incomplete(storage: Storage, location: str) -> bool:
    """Tell whether an output is incomplete, or is a record of a run that did not publish."""
    manifest = read_manifest(storage, location)
    return bool(manifest.get("incomplete") or manifest.get("unfinished"))


def mark(storage: Storage, location: str, note: Mapping[str, Any], attempt_id: str) -> None:
    """Mark an output as complete, which publishes it.

    Raises:
        ConflictError: Another run took over the location, because this run seemed dead.
    """
    if read_manifest(storage, location).get("run") != attempt_id:
        raise ConflictError(
            f"another run took over {location!r}, because this run did not renew its claim for "
            "ten minutes. Let the other run finish, then run again."
        )
    delete_magic_directories(storage, location)
    with noted(storage, location, note, made_at=location):
        delete_inside(storage, location)
    storage.write_text(f"{location}/{_SUCCESS}", "")


def finish_marking(storage: Storage, location: str) -> None:
    """Write `_SUCCESS` if a run died just before it did so: readers may wait for that file."""
    manifest = read_manifest(storage, location)
    is_complete = bool(manifest.get("run")) and not manifest.get("incomplete")
    if is_complete and not storage.exists(f"{location}/{_SUCCESS}"):
        storage.write_text(f"{location}/{_SUCCESS}", "")


def _delete_incomplete(storage: Storage, location: str, attempt_id: str) -> None:
    try:
        manifest = read_manifest(storage, location)
        if manifest.get("incomplete") and manifest.get("run") == attempt_id:
            storage.delete(location)
    except StorageError as error:
        _log.warning("the incomplete output stays behind: %s", error)
