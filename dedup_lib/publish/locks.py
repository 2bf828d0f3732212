"""Lock an output while a run publishes it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.locations import sibling
from dedup_lib.publish.owners import died_here, owner_text
from dedup_lib.session.storage import Storage

# The owner of a lock this old died, maybe on another machine: a live run renews its lock.
LOCK_TAKEOVER_SECONDS = 600
HEARTBEAT_SECONDS = 60
_log = logging.getLogger(__name__)


@contextmanager
def publishing_lock(storage: Storage, location: str, attempt_id: str) -> Iterator[None]:
    """Hold the lock on an output while a run publishes, and renew it every minute.

    The run takes over a lock if its owner died on this machine, or if it was not renewed for ten
    minutes.

    Raises:
        ConflictError: Another run holds the lock.
    """
    lock = sibling(location, "lock")
    mine = owner_text(attempt_id)
    if not storage.create_exclusive(lock, mine):
        take_over(storage, lock, location, attempt_id)
        if not storage.create_exclusive(lock, mine):
            raise locked_error(location)
    try:
        with heartbeat(storage, lock, mine):
            yield
    finally:
        with contextlib.suppress(StorageError):
            if storage.read_text(lock) == mine:
                storage.delete(lock)


@contextmanager
def heartbeat(storage: Storage, lock: str, mine: str) -> Iterator[None]:
    """Renew a lock regularly: it can take long to delete a large old output."""
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(StorageError):
                if storage.read_text(lock) == mine:
                    storage.touch(lock)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def take_over(storage: Storage, lock: str, location: str, attempt_id: str) -> None:
    """Delete a lock whose owner died.

    Raises:
        ConflictError: The owner lives, or another run took the lock first.
    """
    try:
        seen = storage.read_text(lock)
        alive = is_alive(storage, lock, seen)
    except StorageError:
        return  # released in the meantime
    if alive:
        raise locked_error(location)
    aside = sibling(location, f"stale-lock-{attempt_id}")
    try:
        storage.rename(lock, aside)
    except StorageError:
        raise locked_error(location) from None
    moved = storage.read_text(aside)
    if moved != seen:
        storage.rename(aside, lock)
        raise locked_error(location)
    storage.delete(aside)
    _log.warning("took over the lock on %r of a run that died", location)


def locked_error(location: str) -> ConflictError:
    """Return the error for a location that another run has locked."""
    return ConflictError(
        f"another run is publishing to {location!r}: let it finish, then run again."
    )


def is_alive(storage: Storage, lock: str, owner: str) -> bool:
    """Tell whether a lock or claim was renewed recently, and its owner may be alive."""
    # Use the file's own time: a run that is killed before it fills its lock leaves it empty.
    files = storage.list_files(lock)
    if not files:
        return False
    age_seconds = time.time() - files[0].modified_ms / 1000
    return age_seconds < LOCK_TAKEOVER_SECONDS and not died_here(owner)
