"""A text file that a run writes for its user: the report, or the review page."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dedup_lib.errors import DiskFullError, StorageError, UsageError
from dedup_lib.locations import has_scheme
from dedup_lib.redaction import redact
from dedup_lib.session import local_files
from dedup_lib.session.storage import Storage

_log = logging.getLogger(__name__)
_HEAD_BYTES = 500


@dataclass(frozen=True)
class OneFile:
    """A text file that a run writes. It replaces an older file of its kind, and nothing else.

    Attributes:
        kind: What the file is, as its flag says: `report`, `review`.
        location: A URI, or a path on the driver.
        is_of_kind: Tells by its first bytes whether a file is of this kind.
    """

    kind: str
    location: str
    is_of_kind: Callable[[bytes], bool]

    def check(self, storage: Storage | None) -> None:
        """Check that the file can be written; write nothing.

        Args:
            storage: Reads URIs. If it is None, there is no session, and a URI is not checked.

        Raises:
            UsageError: Something else is there, or the location can't be reached.
        """
        try:
            head = self._read_head(storage)
        except (OSError, StorageError) as error:
            raise self._unwritable(error) from error
        if head is None or (head and not self.is_of_kind(head)):
            raise UsageError(
                f"--{self.kind} {self.location!r} exists and is not a {self.kind}: "
                "it is not replaced."
            )

    def write(self, storage: Storage | None, text: str) -> None:
        """Write the file, and replace an older one in one step.

        Args:
            storage: Writes URIs. If it is None, there is no session, and a URI is not written.
            text: The content.

        Raises:
            DiskFullError: The driver's disk is full.
            UsageError: Something else is there, or the file can't be written.
        """
        self.check(storage)
        try:
            if not has_scheme(self.location):
                local_files.replace_text(Path(self.location), text)
            elif storage is not None:
                storage.write_text(self.location, text)
            else:
                _log.error("the %s is not written to %s", self.kind, redact(self.location))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(str(self._unwritable(error))) from error
            raise self._unwritable(error) from error
        except StorageError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> UsageError:
        reason = redact(str(error)).rstrip(".")
        return UsageError(f"--{self.kind} {redact(self.location)!r} can't be written: {reason}.")

    def _read_head(self, storage: Storage | None) -> bytes | None:
        """Return the first bytes; empty if nothing is there, None if it is not a file."""
        if not has_scheme(self.location):
            return _local_head(Path(self.location))
        if storage is None or not storage.exists(self.location):
            return b""
        if storage.is_directory(self.location):
            return None
        return storage.read_head(self.location, _HEAD_BYTES)


def file_uri(location: str) -> str:
    """Return the location of such a file as a URI: a path is a file on the driver."""
    return location if has_scheme(location) else f"file:{Path(location).absolute()}"


def _local_head(path: Path) -> bytes | None:
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
