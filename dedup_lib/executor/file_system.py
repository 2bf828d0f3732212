"""File operations with pyarrow, which executors do for Spark Connect."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dedup_lib.executor.stores import open_store

_PIECE_CHARACTERS = 1024**2
Options = Mapping[str, str]
_THREADS = 8


def answer(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """Call a function; return its answer as text, or the reason why it failed.

    If a file system refuses, the task does not fail, because Spark would only retry it.

    Returns:
        The reason of the failure; or an empty text, and then the answer as JSON in several parts.
    """
    try:
        text = json.dumps(function(*arguments))
    except Exception as error:
        return [f"{type(error).__name__}: {error}".splitlines()[0]]
    pieces = range(0, len(text), _PIECE_CHARACTERS)
    return ["", *(text[start : start + _PIECE_CHARACTERS] for start in pieces)]


def list_below(uri: str, options: Options, *, recursive: bool) -> list[tuple[str, int, int]]:
    """List the entries of a directory, or a single file.

    Returns:
        For each entry the path below the directory (empty for the file itself), the size in bytes
        (-1 for a directory), and the time of the last change in ms. Empty if nothing exists there.
    """
    from pyarrow import fs

    store, path = open_store(uri, options)
    top = store.get_file_info(path)
    if top.type == fs.FileType.File:
        return [("", top.size, _modified_ms(top))]
    selector = fs.FileSelector(path, recursive=recursive, allow_not_found=True)
    found = store.get_file_info(selector)
    for info in found:
        if info.type == fs.FileType.NotFound:
            raise FileNotFoundError(f"{info.path!r} is a symbolic link that leads nowhere")
    return [
        (
            info.path[len(path.rstrip("/")) + 1 :],
            -1 if info.type == fs.FileType.Directory else info.size,
            _modified_ms(info),
        )
        for info in found
    ]


def find_names(uris: Sequence[str], options: Options, patterns: Sequence[str]) -> list[list[str]]:
    """Return the names in each directory that match a pattern; no names if it can't be listed."""
    with ThreadPoolExecutor(_THREADS) as threads:
        listed = list(threads.map(lambda uri: _names_in(uri, options), uris))
    return [
        [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
        for names in listed
    ]


def _names_in(uri: str, options: Options) -> list[str]:
    from pyarrow import fs

    store, path = open_store(uri, options)
    try:
        top = store.get_file_info(path)
        if top.type == fs.FileType.File:
            return [top.base_name]
        return [info.base_name for info in store.get_file_info(fs.FileSelector(path))]
    except OSError:
        return []


def _modified_ms(info: Any) -> int:
    return 0 if info.mtime_ns is None else info.mtime_ns // 1_000_000


def read_latin(uri: str, options: Options, num_bytes: int | None) -> str:
    """Read the first bytes of a file, or all, as text with one character for each byte."""
    store, path = open_store(uri, options)
    with store.open_input_file(path) as stream:
        content: bytes = stream.read(num_bytes)
    return content.decode("latin-1")


def write_text(uri: str, options: Options, text: str) -> None:
    """Write a small file, and its directory if it is missing; replace an older file."""
    store, path = open_store(uri, options)
    store.create_dir(path.rpartition("/")[0])
    with store.open_output_stream(path) as stream:
        stream.write(text.encode())


def create_exclusive(uri: str, options: Options, text: str) -> bool:
    """Write a small file if it does not exist. On an object store two writers may both succeed."""
    from pyarrow import fs

    store, path = open_store(uri, options)
    if isinstance(store, fs.LocalFileSystem):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        return True
    if store.get_file_info(path).type != fs.FileType.NotFound:
        return False
    write_text(uri, options, text)
    return True


def make_directory(uri: str, options: Options) -> None:
    """Make a directory, with its parents."""
    store, path = open_store(uri, options)
    store.create_dir(path)


def rename(source: str, options: Options, target: str) -> None:
    """Rename a file or directory; nothing may exist under the new name."""
    from pyarrow import fs

    store, path = open_store(source, options)
    _, to_path = open_store(target, options)
    if store.get_file_info(to_path).type != fs.FileType.NotFound:
        raise FileExistsError(f"{target!r} exists")
    store.move(path, to_path)


def delete(uri: str, options: Options) -> None:
    """Delete a file, a link, or a directory with its content; do nothing if it does not exist."""
    from pyarrow import fs

    store, path = open_store(uri, options)
    if _is_link(store, path):
        Path(path).unlink()
        return
    kind = store.get_file_info(path).type
    if kind == fs.FileType.Directory:
        store.delete_dir(path)
    elif kind != fs.FileType.NotFound:
        store.delete_file(path)


def delete_directory(uri: str, options: Options, last: str) -> None:
    """Delete a directory with its content; entries with `last` in their name are deleted last."""
    if not _is_link(*open_store(uri, options)):
        for path, _, _ in list_below(uri, options, recursive=False):
            if path and last not in path:
                delete(f"{uri}/{path}", options)
    delete(uri, options)


def _is_link(store: Any, path: str) -> bool:
    """Tell whether a path is a symbolic link, whose target must not be deleted."""
    from pyarrow import fs

    return isinstance(store, fs.LocalFileSystem) and Path(path).is_symlink()
