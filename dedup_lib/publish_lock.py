"""Who is at work on an output: attempts, their staging directories, and the publishing lock."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dedup_lib.errors import ConflictError, StorageError
from dedup_lib.storage import Storage

# A lock this old was left by a run that died elsewhere: one that lives renews it meanwhile.
LOCK_TAKEOVER_SECONDS = 600
HEARTBEAT_SECONDS = 60
_OWNER_FILE = "owner.json"
_PROCESS_TOKEN = uuid.uuid4().hex
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One run's try at one output.

    Attributes:
        attempt_id: A random name.
        directory: Its own directory: plan, staged files. No reader looks there.
    """

    attempt_id: str
    directory: str

    @property
    def plan(self) -> str:
        """Where the plan is kept."""
        return f"{self.directory}/plan"

    @property
    def staged(self) -> str:
        """Where the output is written before it is published."""
        return f"{self.directory}/output"

    @property
    def partial(self) -> str:
        """Where files are that are not finished, and those of attempts that failed."""
        return f"{self.directory}/partial"


def new_attempt_id() -> str:
    """Return a random name for an attempt."""
    return uuid.uuid4().hex[:12]


def sibling(location: str, suffix: str) -> str:
    """Return a hidden name beside a canonical location."""
    parent, _, name = location.rpartition("/")
    return f"{parent}/.{name}.dedup-{suffix}"


@contextmanager
def attempt_directory(storage: Storage, location: str, attempt_id: str) -> Iterator[Attempt]:
    """Make an attempt's directory, and delete it at the end, whatever the end is.

    Directories that runs on this machine left when they were killed are deleted first.

    Args:
        storage: The session's file systems.
        location: A canonical location: the directory is a hidden sibling of it.
        attempt_id: The attempt's name.
    """
    sweep(storage, location, attempt_id)
    attempt = Attempt(attempt_id, sibling(location, attempt_id))
    _make_directory(storage, attempt)
    try:
        yield attempt
    finally:
        _delete_directory(storage, attempt)


@contextmanager
def companion_directory(storage: Storage, location: str, attempt_id: str) -> Iterator[Attempt]:
    """Make a directory for files that a table will refer to once it is published.

    It is deleted at the end, unless it was handed over to the table.

    Args:
        storage: The session's file systems.
        location: The table's canonical location: the directory is a hidden sibling of it.
        attempt_id: The attempt's name.
    """
    sweep(storage, location, attempt_id)
    attempt = Attempt(attempt_id, sibling(location, f"{attempt_id}-companion"))
    _make_directory(storage, attempt)
    try:
        yield attempt
    finally:
        if storage.exists(f"{attempt.directory}/{_OWNER_FILE}"):
            _delete_directory(storage, attempt)


def hand_over(storage: Storage, directory: str) -> None:
    """Leave a companion directory to the table that is about to refer to it.

    From here on no run deletes it: better a directory too many than a table without its files.
    """
    storage.delete(f"{directory}/{_OWNER_FILE}")


@contextmanager
def publishing_lock(storage: Storage, location: str, attempt_id: str) -> Iterator[None]:
    """Hold the lock on an output for the time of publishing, and renew it every minute.

    A lock whose owner died on this machine, or that was not renewed for ten, is taken over.

    Raises:
        ConflictError: Another run holds the lock.
    """
    lock = sibling(location, "lock")
    mine = _owner(attempt_id)
    if not storage.create_exclusive(lock, mine):
        _take_over(storage, lock, location, attempt_id)
        if not storage.create_exclusive(lock, mine):
            raise _held(location)
    try:
        with _heartbeat(storage, lock, mine):
            yield
    finally:
        with contextlib.suppress(StorageError):
            if storage.read_text(lock) == mine:
                storage.delete(lock)


@contextmanager
def _heartbeat(storage: Storage, lock: str, mine: str) -> Iterator[None]:
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


def _make_directory(storage: Storage, attempt: Attempt) -> None:
    try:
        _make_owned(storage, attempt)
    except StorageError:  # another run took the empty directory for one that was left, or no room
        try:
            _make_owned(storage, attempt)
        except StorageError:
            storage.delete_if_empty(attempt.directory)
            raise


def _make_owned(storage: Storage, attempt: Attempt) -> None:
    storage.make_directory(attempt.directory)
    storage.create_exclusive(f"{attempt.directory}/{_OWNER_FILE}", _owner(attempt.attempt_id))


def _delete_directory(storage: Storage, attempt: Attempt) -> None:
    try:
        _delete_owned(storage, attempt.directory)
    except StorageError as error:
        _log.warning("the attempt's directory stays behind: %s", error)


def _delete_owned(storage: Storage, directory: str) -> None:
    """Delete a directory, and last what says whose it is: a deletion may be cut off, too."""
    is_link = storage.canonical(directory) != directory  # then what it leads to is not ours
    for name in [] if is_link else storage.list_names(directory):
        if _OWNER_FILE not in name:  # its checksum neither
            storage.delete(f"{directory}/{name}")
    storage.delete(directory)


def _take_over(storage: Storage, lock: str, location: str, attempt_id: str) -> None:
    try:
        seen = storage.read_text(lock)
        alive = _is_alive(storage, lock, seen)
    except StorageError:
        return  # released meanwhile
    if alive:
        raise _held(location)
    aside = sibling(location, f"stale-lock-{attempt_id}")
    try:
        storage.rename(lock, aside)
    except StorageError:
        raise _held(location) from None
    moved = storage.read_text(aside)
    if moved != seen:
        storage.rename(aside, lock)
        raise _held(location)
    storage.delete(aside)
    _log.warning("took over the lock on %r of a run that died", location)


def _held(location: str) -> ConflictError:
    return ConflictError(
        f"another run is publishing to {location!r}: let it finish, then run again."
    )


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
        # What is there now may be gone in an instant: others tidy up, too.
        with contextlib.suppress(ConflictError, StorageError):
            if suffix == "lock":
                _take_over(storage, f"{parent}/{name}", location, attempt_id)
            else:
                _sweep_one(storage, f"{parent}/{name}", is_lock=suffix.startswith("stale-lock-"))


def _sweep_one(storage: Storage, place: str, *, is_lock: bool) -> None:
    owner_file = place if is_lock else f"{place}/{_OWNER_FILE}"
    if not storage.exists(owner_file):
        # Killed before it said whose it is; a companion that was handed over is never empty.
        if storage.delete_if_empty(place):
            _log.info("deleting %r, which is empty", place)
        elif not place.endswith("-companion"):
            _log.warning("%r is nobody's: delete it where no run is at work", place)
    elif not _died_here(storage.read_text(owner_file)):
        _log.warning("%r belongs to another run, or one that died elsewhere", place)
    else:
        _log.info("deleting %r, left by a run that was killed", place)
        if is_lock:
            storage.delete(place)
        else:
            _delete_owned(storage, place)


def _owner(attempt_id: str) -> str:
    return json.dumps(
        {
            "attempt": attempt_id,
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "process": _PROCESS_TOKEN,
        }
    )


def _is_alive(storage: Storage, lock: str, owner: str) -> bool:
    # The file's own time: a run killed between making and filling its lock leaves it empty.
    files = storage.list_files(lock)
    if not files:
        return False
    age_seconds = time.time() - files[0].modified_ms / 1000
    return age_seconds < LOCK_TAKEOVER_SECONDS and not _died_here(owner)


def _died_here(owner: str) -> bool:
    try:
        values = json.loads(owner)
        host, pid, process = values["host"], int(values["pid"]), values["process"]
        machine = values.get("machine")
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    if (host, machine) != (socket.gethostname(), _machine()):
        return False
    if pid == os.getpid():
        return bool(process != _PROCESS_TOKEN)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _machine() -> list[str]:
    """Tell apart machines and containers of the same name, whose processes have numbers of theirs.

    Of a system that says nothing of this the name must do.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        return []
