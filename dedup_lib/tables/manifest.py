"""The manifest of a Parquet output: a small hidden file beside it that says which run made it.

It is beside the directory, because Polars and Daft refuse a directory with files that are not
Parquet. It is written before the output is published. It names some files of the output, so it
never speaks for another output that was put there later.

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
from dedup_lib.session.storage import Storage
from dedup_lib.tables.directory import MANIFEST_NAME, is_marker

MANIFEST_SUFFIX = "manifest.json"
_MOST_FILES = 100


def read_manifest(storage: Storage, location: str) -> dict[str, Any]:
    """Read the note of the run that made a directory; empty if no note fits the directory's files.

    *Cost:* two requests; a listing of the directory if there is a manifest.
    """
    if note := _read(storage, f"{location}/{MANIFEST_NAME}"):
        return note
    output = _fitting(storage, location, _outputs(storage, location))
    return {} if output is None else dict(output["note"])


def change_note(storage: Storage, location: str, note: Mapping[str, Any]) -> None:
    """Replace the note of a published output."""
    if _read(storage, f"{location}/{MANIFEST_NAME}"):
        mark_incomplete(storage, location, note)
        return
    outputs = _outputs(storage, location)
    if (output := _fitting(storage, location, outputs)) is not None:
        output["note"] = dict(note)
        _write(storage, location, outputs)


def mark_incomplete(storage: Storage, location: str, note: Mapping[str, Any]) -> None:
    """Put a note in a directory itself, where every reader of Parquet meets it."""
    storage.write_text(f"{location}/{MANIFEST_NAME}", json.dumps(note, indent=2))


def unmark(storage: Storage, location: str) -> None:
    """Delete the note in a directory itself."""
    storage.delete(f"{location}/{MANIFEST_NAME}")


@contextmanager
def noted(
    storage: Storage, location: str, note: Mapping[str, Any], *, made_at: str
) -> Iterator[None]:
    """Write the note of an output, which is then published; if that fails, take it back.

    The note of the output that is at the location now stays, for it may not be replaced in the end.

    Args:
        storage: The session's file systems.
        location: The canonical location.
        note: The note.
        made_at: Where the output's files are now.
    """
    there = _fitting(storage, location, _outputs(storage, location))
    before = [] if there is None else [there]
    _write(storage, location, [*before, {"files": _sample(storage, made_at), "note": dict(note)}])
    try:
        yield
    except BaseException:
        with suppress(StorageError):  # the note fits no output, so it does no harm
            _write(storage, location, before)
        raise


def _sample(storage: Storage, directory: str) -> list[list[Any]]:
    """Return path and size of some data files, evenly spread over all."""
    files = [file for file in storage.list_files(directory) if not is_marker(file)]
    found = sorted([file.path.removeprefix(directory), file.size_bytes] for file in files)
    return found[:: -(-len(found) // _MOST_FILES) or 1]


def _fitting(
    storage: Storage, location: str, outputs: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the output whose noted files are all there, with their sizes; the latest if many."""
    if not outputs or not storage.exists(location):
        return None
    listed = storage.list_files(location)
    there = {file.path.removeprefix(location): file.size_bytes for file in listed}
    return next((it for it in reversed(outputs) if _fits(it["files"], there)), None)


def _fits(files: Sequence[tuple[str, int]], there: Mapping[str, int]) -> bool:
    return bool(files) and all(there.get(path) == num_bytes for path, num_bytes in files)


def _outputs(storage: Storage, location: str) -> list[dict[str, Any]]:
    """Read the manifest: one entry for each output, with its `files` and its `note`."""
    return list(_read(storage, sibling(location, MANIFEST_SUFFIX)).get("outputs", []))


def _write(storage: Storage, location: str, outputs: Sequence[Mapping[str, Any]]) -> None:
    path = sibling(location, MANIFEST_SUFFIX)
    if outputs:
        storage.write_text(path, json.dumps({"outputs": outputs}, indent=2))
    else:
        storage.delete(path)


def _read(storage: Storage, path: str) -> dict[str, Any]:
    """Read a file; empty if there is none, or it is not valid JSON."""
    if not storage.exists(path):
        return {}
    try:
        values = json.loads(storage.read_text(path))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
