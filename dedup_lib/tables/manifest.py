"""The manifest of a Parquet output: a small hidden file beside it that says which run made it.

It is beside the directory, because Polars and Daft refuse a directory with files that are not
Parquet. It is written before the output is published. It names some files of the output, with their
sizes and times of writing, so it never speaks for another output that was put there later.

In two cases it is in the directory: in a store that can't rename, as the mark of an output that is
not complete yet; and in outputs that an earlier build of version 0.1.0 made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dedup_lib.errors import StorageError
from dedup_lib.locations import sibling
from dedup_lib.session.storage import FileInfo, Storage
from dedup_lib.tables.directory import MANIFEST_NAME, is_marker

MANIFEST_SUFFIX = "manifest.json"
_MOST_FILES = 100


def read_manifest(storage: Storage, location: str) -> dict[str, Any]:
    """Read the note of the run that made a directory; empty if no note fits the directory's files.

    *Cost:* two requests; three more and a listing of the directory if there is a manifest.
    """
    if note := _read(storage, f"{location}/{MANIFEST_NAME}"):
        return note
    output = _fitting(storage, location, _outputs(storage, location))
    return {} if output is None else dict(output["note"])


def change_note(storage: Storage, location: str, note: Mapping[str, Any]) -> None:
    """Replace the note of a published output."""
    if _read(storage, f"{location}/{MANIFEST_NAME}"):
        write_inside(storage, location, note)
        return
    outputs = _outputs(storage, location)
    if (output := _fitting(storage, location, outputs)) is not None:
        output["note"] = dict(note)
        _write(storage, location, outputs)


def write_inside(storage: Storage, location: str, note: Mapping[str, Any]) -> None:
    """Put a note in a directory itself, where readers meet it."""
    storage.write_text(f"{location}/{MANIFEST_NAME}", json.dumps(note, indent=2))


def delete_inside(storage: Storage, location: str) -> None:
    """Delete the note in a directory itself."""
    storage.delete(f"{location}/{MANIFEST_NAME}")


@contextmanager
def noted(
    storage: Storage, location: str, note: Mapping[str, Any], *, made_at: str
) -> Iterator[None]:
    """Write the note of an output, which is then published; if it was not, take the note back.

    The note of the output that is at the location now stays, for it may not be replaced in the end.

    Args:
        storage: The session's file systems.
        location: The canonical location.
        note: The note.
        made_at: Where the output's files are now.
    """
    there = _fitting(storage, location, _outputs(storage, location))
    before = [] if there is None else [there]
    made = {"files": _sample(storage, made_at), "note": dict(note)}
    _write(storage, location, [*before, made])
    try:
        yield
    except BaseException:
        with suppress(StorageError):  # a note that fits no output does no harm
            # An error may hide that the last step was done.
            if _is_marked(storage, location) or _fitting(storage, location, [made]) is None:
                _write(storage, location, before)
        raise


def _is_marked(storage: Storage, location: str) -> bool:
    return storage.exists(f"{location}/{MANIFEST_NAME}")


def _sample(storage: Storage, directory: str) -> list[list[Any]]:
    """Return what identifies some data files, evenly spread over all."""
    files = [file for file in storage.list_files(directory) if not is_marker(file)]
    found = sorted(_identity(file, directory) for file in files)
    return found[:: -(-len(found) // _MOST_FILES) or 1]


def _identity(file: FileInfo, directory: str) -> list[Any]:
    """Return path, size and time of writing of a file.

    Names and sizes are not enough: a rewrite keeps the names of its source, and copies files.
    """
    return [file.path.removeprefix(directory), file.size_bytes, file.modified_ms]


def _fitting(
    storage: Storage, location: str, outputs: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the output whose noted files are all there, unchanged; the latest if many."""
    if not outputs or not storage.exists(location):
        return None
    there = {tuple(_identity(file, location)) for file in storage.list_files(location)}
    fitting = (it for it in reversed(outputs) if there.issuperset(map(tuple, it["files"])))
    return next(fitting, None)


def _outputs(storage: Storage, location: str) -> list[dict[str, Any]]:
    """Read the manifest: one entry for each output, with its `files` and its `note`."""
    found = _read(storage, sibling(location, MANIFEST_SUFFIX)).get("outputs")
    return [it for it in found if _is_entry(it)] if isinstance(found, list) else []


def _is_entry(value: object) -> bool:
    """Tell whether a value is an entry with files: others may be able to write the manifest."""
    match value:
        case {"files": [_, *_] as files, "note": dict()}:
            return all(map(_is_identity, files))
    return False


def _is_identity(value: object) -> bool:
    match value:
        case [str(), int(), int()]:
            return True
    return False


def _write(storage: Storage, location: str, outputs: Sequence[Mapping[str, Any]]) -> None:
    path = sibling(location, MANIFEST_SUFFIX)
    if outputs:
        storage.write_text(path, json.dumps({"outputs": outputs}, indent=2))
    else:
        storage.delete(path)


def _read(storage: Storage, path: str) -> dict[str, Any]:
    """Read a file; empty if it does not exist, or is not valid JSON."""
    if not storage.exists(path):
        return {}
    try:
        values = json.loads(storage.read_text(path))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
