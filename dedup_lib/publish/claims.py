"""Claim a location of an object store that can't create a file exclusively in one step."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import StorageError
from dedup_lib.locations import sibling
from dedup_lib.publish.locks import heartbeat, is_alive, locked_error
from dedup_lib.publish.owners import owner_text
from dedup_lib.session.storage import Storage

_TRIES = 4
_MOST_WAIT_SECONDS = 2.0


@contextmanager
def claimed(storage: Storage, location: str, attempt_id: str) -> Iterator[None]:
    """Claim a location while a run writes to it.

    Each run writes a claim under its own name, then looks for claims of other runs. A store lists
    everything that was written before. So if two runs do this, at least one sees the other and
    gives way. A run renews its claim every minute. A claim is ignored if its run died on this
    machine, or if it was not renewed for ten minutes. Over Spark Connect no claim is ignored, since
    the server may still be working.

    Raises:
        ConflictError: Another run has claimed the location.
    """
    claim, mine = sibling(location, f"claim-{attempt_id}"), owner_text(attempt_id)
    for _ in range(_TRIES):
        storage.write_text(claim, mine)
        if not _is_claimed_by_another(storage, location, claim):
            break
        storage.delete(claim)
        time.sleep(random.uniform(0, _MOST_WAIT_SECONDS))  # noqa: S311  # both runs may have given way
    else:
        raise locked_error(location)
    try:
        with heartbeat(storage, claim, mine):
            yield
    finally:
        with contextlib.suppress(StorageError):
            storage.delete(claim)


def _is_claimed_by_another(storage: Storage, location: str, mine: str) -> bool:
    parent, _, prefix = sibling(location, "claim-").rpartition("/")
    found = False
    for name in storage.list_names(parent):
        claim = f"{parent}/{name}"
        if not name.startswith(prefix) or claim == mine:
            continue
        with contextlib.suppress(StorageError):  # its run deleted it in the meantime
            if storage.is_remote or is_alive(storage, claim, storage.read_text(claim)):
                found = True
            else:
                storage.delete(claim)
    return found
