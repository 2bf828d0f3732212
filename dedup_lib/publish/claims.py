"""A claim on a place of an object store, where no file is made exclusively in one step."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import StorageError
from dedup_lib.publish.locks import heartbeat, held, is_alive
from dedup_lib.publish.owners import owner_text, sibling
from dedup_lib.session.storage import Storage

_TRIES = 4
_MOST_WAIT_SECONDS = 2.0


@contextmanager
def claimed(storage: Storage, location: str, attempt_id: str) -> Iterator[None]:
    """Claim a place for as long as it is written to.

    Each run writes a claim under a name of its own, and then looks for those of others: stores
    list what was written before, so of two runs at least one sees the other, and steps back.
    Claims are renewed every minute. Those whose run died on this machine, or that were not renewed
    for ten, don't count; over Spark Connect they do, for there the server may still be at work.

    Raises:
        ConflictError: Another run has claimed the place.
    """
    claim, mine = sibling(location, f"claim-{attempt_id}"), owner_text(attempt_id)
    for _ in range(_TRIES):
        storage.write_text(claim, mine)
        if not _is_claimed_by_another(storage, location, claim):
            break
        storage.delete(claim)
        time.sleep(random.uniform(0, _MOST_WAIT_SECONDS))  # noqa: S311  # both may have stepped back
    else:
        raise held(location)
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
        with contextlib.suppress(StorageError):  # given up meanwhile
            if storage.is_remote or is_alive(storage, claim, storage.read_text(claim)):
                found = True
            else:
                storage.delete(claim)
    return found
