"""Find the files of a removal list in a directory."""

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
from dedup_lib.tables.directory import MARKERS
from dedup_lib.tables.foreign import check_files
from dedup_lib.tables.layout.partitions import relative_parts

TextFormat = Literal["csv", "jsonl", "json", "txt"]
ListFormat = Literal["parquet", "npy"] | TextFormat
_SUFFIXES: dict[ListFormat, tuple[str, ...]] = {
    "parquet": (".parquet", ".parq", ".pq"),
    "npy": (".npy",),
}
_TEXT_SUFFIXES: dict[TextFormat, tuple[str, ...]] = {
    "csv": (".csv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
    "json": (".json", ".json.gz"),
    "txt": (".txt", ".txt.gz"),
}
_MAGIC: dict[ListFormat, bytes] = {"parquet": b"PAR1", "npy": NPY_MAGIC}
# NeMo Curator 0.x gives its list of exact duplicates the name of a hidden file or directory.
_NEVER_HIDDEN = "_exact_duplicates.parquet"
_NEITHER = "neither a Parquet file nor a .npy file"
_NO_TEXT = "nor named .csv, .jsonl, .json or .txt (or these with .gz)"
_log = logging.getLogger(__name__)


def list_files(
    storage: Storage, location: str, *, what: str
) -> tuple[ListFormat, Sequence[FileInfo]]:
    """Return the files of a list, all of one format. It warns about skipped files.

    Text (CSV, JSON, …) counts only if there is no Parquet and no .npy: beside these, it may be a
    note of the program that wrote them.

    Args:
        storage: The session's file systems.
        location: The canonical URI of a file or a directory.
        what: The name of the list in messages.

    Raises:
        TableNotFoundError: The directory holds no file of a format of lists.
        TableFormatError: The directory holds only directories.
        UnreadableFileError: The location is a file of another format.
        AmbiguousListError: There are files of several formats.

    *Cost:* one listing; also the first bytes of files whose names do not tell their format.
    """
    found: dict[ListFormat, list[FileInfo]] = {}
    texts: dict[ListFormat, list[FileInfo]] = {}
    others: list[FileInfo] = []
    for file in _find_top_files(storage, location, what=what):
        if (text_format := text_format_of(file.path)) is not None:
            texts.setdefault(text_format, []).append(file)
        elif (list_format := _format_of(storage, file)) is not None:
            found.setdefault(list_format, []).append(file)
        elif file.path == location:
            raise UnreadableFileError(f"{what} is {_NEITHER}, {_NO_TEXT}.")
        else:
            others.append(file)
    skipped = [*others, *(file for files in texts.values() for file in files if found)]
    for file in skipped:
        _log.warning("%s: skipped %r, which is %s", what, file.path, _NEITHER)
    found = found or texts
    if not found:
        raise TableNotFoundError(f"{what} holds {_NEITHER}, {_NO_TEXT}.")
    if len(found) > 1:
        shown = "; ".join(f"{files[0].path!r} is {name}" for name, files in sorted(found.items()))
        raise AmbiguousListError(
            f"{what} mixes formats: {shown}. Give the files of each format as a separate list."
        )
    return next(iter(found.items()))


def text_format_of(path: str) -> TextFormat | None:
    """Return the format of a file of text by its name; None if the name says nothing of text."""
    name = path.lower()
    return next((of for of, ends in _TEXT_SUFFIXES.items() if name.endswith(ends)), None)


def _find_top_files(storage: Storage, location: str, *, what: str) -> list[FileInfo]:
    """Return the files that are not hidden, and not in sub-directories other than partitions.

    A file that is given itself is not hidden.
    """
    files, nested, beside = [], set(), []
    listed = storage.list_files(location)
    for file in listed:
        *directories, name = relative_parts(location, file)
        if not directories or "=" in directories[0]:
            beside.append(file)
        if file.path != location and any(map(_is_hidden, [*directories, name])):
            if not MARKERS.fullmatch(name):
                _log.warning("%s: skipped %r, which is hidden", what, file.path)
        elif any("=" not in part and part != _NEVER_HIDDEN for part in directories):
            nested.add(directories[0])
        else:
            files.append(file)
    # Other directories are skipped, so they may be tables of any kind.
    check_files(beside if files else listed, location, what)
    if nested and not files:
        raise TableFormatError(
            f"{what} holds only directories ({', '.join(sorted(nested)[:5])}): give the "
            "directory of the list itself, since the others may hold something else."
        )
    if nested:
        _log.warning("%s: skipped directories %s", what, sorted(nested))
    return files


def _is_hidden(name: str) -> bool:
    return name.startswith(("_", ".")) and name != _NEVER_HIDDEN


def _format_of(storage: Storage, file: FileInfo) -> ListFormat | None:
    name = file.path.lower()
    for list_format, suffixes in _SUFFIXES.items():
        if name.endswith(suffixes):
            return list_format
    head = storage.read_head(file.path, max(map(len, _MAGIC.values())))
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), None)
