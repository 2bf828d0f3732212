"""Write the file of a review; replace only an older review."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dedup_lib.errors import StorageError, UsageError
from dedup_lib.locations import has_scheme
from dedup_lib.redaction import redact
from dedup_lib.review.page import MARK
from dedup_lib.session import local_files
from dedup_lib.session.storage import Storage

_HEAD_BYTES = 500


def check_review(storage: Storage, location: str) -> None:
    """Check that a review can be written to a location, before any work.

    Raises:
        UsageError: Something else is there, or the store can't be reached.
    """
    with _usage_errors():
        if has_scheme(location):
            if not storage.exists(location):
                return
            is_file = not storage.is_directory(location)
            head = storage.read_head(location, _HEAD_BYTES) if is_file else None
        else:
            head = _local_head(Path(location))
    if head is None or (head and MARK.encode() not in head):
        raise UsageError(f"--review {location!r} exists and is not a review: it is not replaced.")


def write_review(storage: Storage, location: str, page: str) -> None:
    """Write a page; a location without a scheme is a file on the driver.

    Raises:
        UsageError: The page can't be written.
    """
    check_review(storage, location)
    with _usage_errors():
        if has_scheme(location):
            storage.write_text(location, page)
        else:
            local_files.replace_text(Path(location), page)


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, StorageError) as error:
        raise UsageError(f"--review can't be written: {redact(str(error))}") from error


def _local_head(path: Path) -> bytes | None:
    """Return the first bytes of a file; empty if nothing is there, None if it is not a file."""
    if path.is_file():
        with path.open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    if path.exists():
        return None
    above = path.absolute().parent
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise StorageError(f"{str(above)!r} is not a directory, or can't be written to.")
    return b""
