"""The lock on an output for the time of publishing."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.publish.owners import died_here, owner_text, sibling
from dedup_lib.session.storage import Storage

# A lock this old was left by a run that died elsewhere: one that lives renews it meanwhile.
LOCK_TAKEOVER_SECONDS = 600
HEARTBEAT_SECONDS = 60
_log = logging.getLogger(__name__)


@contextmanager
def publishing_lock(storage: Storage, location: str, attempt_id: str) -> Iterator[None]:
    """Hold the lock on an output for the time of publishing, and renew it every minute.

    A lock whose owner died on this machine, or that was not renewed for ten, is taken over.

    Raises:
        ConflictError: Another run holds the lock.
    """
    lock = sibling(location, "lock")
    mine = owner_text(attempt_id)
    if not storage.create_exclusive(lock, mine):
        take_over(storage, lock, location, attempt_id)
        if not storage.create_exclusive(lock, mine):
            raise held(location)
    try:
        with heartbeat(storage, lock, mine):
            yield
    finally:
        with contextlib.suppress(StorageError):
            if storage.read_text(lock) == mine:
                storage.delete(lock)


@contextmanager
def heartbeat(storage: Storage, lock: str, mine: str) -> Iterator[None]:
    """Renew a lock's time while it is held; deleting a large old output may take long."""
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
    """Take a lock away whose owner died.

    Raises:
        ConflictError: It lives, or another run was quicker.
    """
    try:
        seen = storage.read_text(lock)
        alive = is_alive(storage, lock, seen)
    except StorageError:
        return  # released meanwhile
    if alive:
        raise held(location)
    aside = sibling(location, f"stale-lock-{attempt_id}")
    try:
        storage.rename(lock, aside)
    except StorageError:
        raise held(location) from None
    moved = storage.read_text(aside)
    if moved != seen:
        storage.rename(aside, lock)
        raise held(location)
    storage.delete(aside)
    _log.warning("took over the lock on %r of a run that died", location)


def held(location: str) -> ConflictError:
    """Return the error for a place that another run has."""
    return ConflictError(
        f"another run is publishing to {location!r}: let it finish, then run again."
    )


def is_alive(storage: Storage, lock: str, owner: str) -> bool:
    """Tell whether a lock or claim was renewed of late, by an owner not known to be dead."""
    # The file's own time: a run killed between making and filling its lock leaves it empty.
    files = storage.list_files(lock)
    if not files:
        return False
    age_seconds = time.time() - files[0].modified_ms / 1000
    return age_seconds < LOCK_TAKEOVER_SECONDS and not died_here(owner)
