"""Which files of a directory are a removal list's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from dedup_lib.errors import (
    AmbiguousListError,
    TableFormatError,
    TableNotFoundError,
    UnreadableFileError,
)
from dedup_lib.lists.npy_header import NPY_MAGIC
from dedup_lib.session.storage import FileInfo, Storage
from dedup_lib.tables.directory import MARKERS, relative_parts
from dedup_lib.tables.foreign import check_files

ListFormat = Literal["parquet", "npy"]
_SUFFIXES: dict[ListFormat, tuple[str, ...]] = {
    "parquet": (".parquet", ".parq", ".pq"),
    "npy": (".npy",),
}
_MAGIC: dict[ListFormat, bytes] = {"parquet": b"PAR1", "npy": NPY_MAGIC}
_NEITHER = "no Parquet file, and no .npy file"
_log = logging.getLogger(__name__)


def list_files(
    storage: Storage, location: str, *, what: str
) -> tuple[ListFormat, Sequence[FileInfo]]:
    """Return the files of a list, all of one format; what is no list is passed over aloud.

    Args:
        storage: The session's file systems.
        location: The canonical URI of a file or a directory.
        what: The list, for messages.

    Raises:
        TableNotFoundError: A directory holds no such file.
        TableFormatError: It holds only directories.
        UnreadableFileError: The one file is of another format.
        AmbiguousListError: There are files of both formats.

    *Cost:* one listing; of files whose names say nothing, the first bytes.
    """
    found: dict[ListFormat, list[FileInfo]] = {}
    for file in _not_nested(storage, location, what=what):
        list_format = _format_of(storage, file)
        if list_format is not None:
            found.setdefault(list_format, []).append(file)
        elif file.path == location:
            raise UnreadableFileError(f"{what} is {_NEITHER}.")
        else:
            _log.warning("%s: passed over %r, which is %s", what, file.path, _NEITHER)
    if not found:
        raise TableNotFoundError(f"{what} holds {_NEITHER}.")
    if len(found) > 1:
        shown = "; ".join(f"{files[0].path!r} is {name}" for name, files in sorted(found.items()))
        raise AmbiguousListError(
            f"{what} mixes kinds: {shown}. Give the files of each format as a list of its own."
        )
    return next(iter(found.items()))


def _not_nested(storage: Storage, location: str, *, what: str) -> list[FileInfo]:
    """Return the files that are not hidden, nor in directories other than partitions."""
    files, nested = [], set()
    for file in storage.list_files(location):
        *directories, name = relative_parts(location, file)
        if name.startswith(("_", ".")) or any(part.startswith(("_", ".")) for part in directories):
            if not MARKERS.fullmatch(name):
                _log.warning("%s: passed over %r, which is hidden", what, file.path)
        elif any("=" not in part for part in directories):
            nested.add(directories[0])
        else:
            files.append(file)
    check_files(files, what)
    if nested and not files:
        raise TableFormatError(
            f"{what} holds only directories ({', '.join(sorted(nested)[:5])}): name the "
            "one with the list, for others may hold something else."
        )
    if nested:
        _log.warning("%s: passed over directories %s", what, sorted(nested))
    return files


def _format_of(storage: Storage, file: FileInfo) -> ListFormat | None:
    name = file.path.lower()
    for list_format, suffixes in _SUFFIXES.items():
        if name.endswith(suffixes):
            return list_format
    head = storage.read_head(file.path, max(map(len, _MAGIC.values())))
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), None)
