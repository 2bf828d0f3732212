"""Make and delete a run's hidden directory."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import StorageError
from dedup_lib.locations import sibling
from dedup_lib.publish.owners import owner_text
from dedup_lib.publish.sweep import OWNER_FILE, delete_owned
from dedup_lib.session.storage import Storage
from dedup_lib.tables.target import Attempt

_log = logging.getLogger(__name__)


def new_attempt_id() -> str:
    """Return a random name for an attempt."""
    return uuid.uuid4().hex[:12]


@contextmanager
def attempt_directory(storage: Storage, location: str, attempt_id: str) -> Iterator[Attempt]:
    """Make an attempt's directory, and delete it at the end, also after a failure.

    Args:
        storage: The session's file systems.
        location: A canonical location. The directory is a hidden sibling of it.
        attempt_id: The attempt's name.
    """
    attempt = Attempt(attempt_id, sibling(location, attempt_id))
    _make_directory(storage, attempt)
    try:
        yield attempt
    finally:
        _delete_directory(storage, attempt)


@contextmanager
def companion_directory(storage: Storage, location: str, attempt_id: str) -> Iterator[Attempt]:
    """Make a directory for files that a table will refer to once it is published.

    The directory is deleted at the end, unless `hand_over` gave it to the table.

    Args:
        storage: The session's file systems.
        location: The table's canonical location. The directory is a hidden sibling of it.
        attempt_id: The attempt's name.
    """
    attempt = Attempt(attempt_id, sibling(location, f"{attempt_id}-companion"))
    try:
        _make_directory(storage, attempt)
    except StorageError:
        if not storage.is_remote:
            raise
        _log.info("a clone that fails will stay at %r: nothing can be deleted", attempt.directory)
    try:
        yield attempt
    finally:
        if storage.exists(f"{attempt.directory}/{OWNER_FILE}"):
            _delete_directory(storage, attempt)


def attempt_without_directory(location: str, attempt_id: str) -> Attempt:
    """Return an attempt that needs no directory."""
    return Attempt(attempt_id, sibling(location, attempt_id), has_directory=False)


def hand_over(storage: Storage, directory: str) -> None:
    """Give a companion directory to the table that is about to refer to it.

    After that no run deletes it: a needless directory is better than a table without its files.
    """
    if storage.exists(f"{directory}/{OWNER_FILE}"):
        storage.delete(f"{directory}/{OWNER_FILE}")


def _make_directory(storage: Storage, attempt: Attempt) -> None:
    try:
        _make_owned(storage, attempt)
    except (
        StorageError
    ):  # another run deleted the empty directory as abandoned, or the disk is full
        try:
            _make_owned(storage, attempt)
        except StorageError:
            storage.delete_if_empty(attempt.directory)
            raise


def _make_owned(storage: Storage, attempt: Attempt) -> None:
    storage.make_directory(attempt.directory)
    storage.create_exclusive(f"{attempt.directory}/{OWNER_FILE}", owner_text(attempt.attempt_id))


def _delete_directory(storage: Storage, attempt: Attempt) -> None:
    try:
        delete_owned(storage, attempt.directory)
    except StorageError as error:
        _log.warning("the attempt's directory stays behind: %s", error)
