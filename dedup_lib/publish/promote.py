"""Put a staged directory in its final location by a rename."""

from __future__ import annotations

from dedup_lib.errors import ConflictError
from dedup_lib.publish.locks import publishing_lock
from dedup_lib.publish.swap import repair_locked, replace
from dedup_lib.session.session import Session
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import Attempt, Staged


def rename_into_place(session: Session, staged: Staged, attempt: Attempt) -> None:
    """Rename a staged directory to its final location; two renames replace an existing directory.

    Raises:
        ConflictError: Another run is publishing there, or another writer wrote there.
    """
    storage, target = session.storage, staged.target
    with publishing_lock(storage, target.location, attempt.attempt_id):
        repair_locked(storage, target.location)
        if not storage.exists(target.location):
            storage.rename(staged.location, target.location)
        elif target.mode == "error":
            raise ConflictError(f"another writer made {target.location!r} in the meantime.")
        else:
            format_named(target.format).check_replaceable(session, target.location)
            replace(storage, staged.location, target.location, attempt)
