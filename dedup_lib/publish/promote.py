"""Put a staged directory in its final location by a rename."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from dedup_lib.errors import ConflictError
from dedup_lib.publish.locks import publishing_lock
from dedup_lib.publish.swap import repair_locked, replace
from dedup_lib.session.session import Session
from dedup_lib.tables.manifest import noted
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import Attempt, Staged


def rename_into_place(
    session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any] | None = None
) -> None:
    """Rename a staged directory to its final location; two renames replace an existing directory.

    Args:
        session: The session, with its file systems.
        staged: The directory.
        attempt: The run's attempt at the output.
        note: The note for the manifest beside the output; None if the table has its own log.

    Raises:
        ConflictError: Another run is publishing there, or another writer wrote there.
    """
    storage, target = session.storage, staged.target
    with publishing_lock(storage, target.location, attempt.attempt_id), ExitStack() as on_failure:
        repair_locked(storage, target.location)
        is_there = storage.exists(target.location)
        if is_there and target.mode == "error":
            raise ConflictError(f"another writer made {target.location!r} in the meantime.")
        if is_there:
            format_named(target.format).check_replaceable(session, target.location)
        if note is not None:
            made_at = staged.location
            on_failure.enter_context(noted(storage, target.location, note, made_at=made_at))
        if is_there:
            replace(storage, staged.location, target.location, attempt)
        else:
            storage.rename(staged.location, target.location)
