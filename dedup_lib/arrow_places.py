"""Files and directories of a store, by pyarrow, wherever that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dedup_lib.arrow_schema import schema_text
from dedup_lib.arrow_stores import open_store

_PIECE = 1024**2
_THREADS = 8
_ROW_GROUPS = 4
Options = Mapping[str, str]


def answer(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """Call a function; return why it failed, or nothing, and then its answer as JSON, in pieces.

    What a file system refuses is no failure of the task: it would only be tried again.
    """
    try:
        text = json.dumps(function(*arguments))
    except Exception as error:
        return [f"{type(error).__name__}: {error}".splitlines()[0]]
    return ["", *(text[start : start + _PIECE] for start in range(0, len(text), _PIECE))]


def list_below(uri: str, options: Options, *, recursive: bool) -> list[tuple[str, int, int]]:
    """List what is below a directory, or the one file.

    Returns:
        Path below the directory (of the file: empty), size in bytes (-1: a directory), and time
        of the last change in ms; nothing where there is nothing.
    """
    from pyarrow import fs

    store, path = open_store(uri, options)
    top = store.get_file_info(path)
    if top.type == fs.FileType.File:
        return [("", top.size, _milliseconds(top))]
    selector = fs.FileSelector(path, recursive=recursive, allow_not_found=True)
    found = store.get_file_info(selector)
    for info in found:
        if info.type == fs.FileType.NotFound:
            raise FileNotFoundError(f"{info.path!r} is a symbolic link that leads nowhere")
    return [
        (
            info.path[len(path.rstrip("/")) + 1 :],
            -1 if info.type == fs.FileType.Directory else info.size,
            _milliseconds(info),
        )
        for info in found
    ]


def find_names(uris: Sequence[str], options: Options, patterns: Sequence[str]) -> list[list[str]]:
    """Return those names in each directory that match a pattern; none of what can't be listed."""
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


def _milliseconds(info: Any) -> int:
    return 0 if info.mtime_ns is None else info.mtime_ns // 1_000_000


def read_latin(uri: str, options: Options, num_bytes: int | None) -> str:
    """Read a file's first bytes, or all, as text of which each character stands for a byte."""
    store, path = open_store(uri, options)
    with store.open_input_file(path) as stream:
        content: bytes = stream.read(num_bytes)
    return content.decode("latin-1")


def write_text(uri: str, options: Options, text: str) -> None:
    """Write a small file, replacing one that is there; its directory too, where it lacks one."""
    store, path = open_store(uri, options)
    store.create_dir(path.rpartition("/")[0])
    with store.open_output_stream(path) as stream:
        stream.write(text.encode())


def create_exclusive(uri: str, options: Options, text: str) -> bool:
    """Write a small file where there is none; on an object store not in one step."""
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
    """Rename a file or directory to a name that is free."""
    from pyarrow import fs

    store, path = open_store(source, options)
    _, to_path = open_store(target, options)
    if store.get_file_info(to_path).type != fs.FileType.NotFound:
        raise FileExistsError(f"{target!r} exists")
    store.move(path, to_path)


def delete(uri: str, options: Options) -> None:
    """Delete a file, a link, or a directory with all it holds; nothing where there is none."""
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
    """Delete a directory with all it holds, and last what has `last` in its name."""
    if not _is_link(*open_store(uri, options)):
        for path, _, _ in list_below(uri, options, recursive=False):
            if path and last not in path:
                delete(f"{uri}/{path}", options)
    delete(uri, options)


def _is_link(store: Any, path: str) -> bool:
    """Tell whether a place is a link, which leads to what is none of ours."""
    from pyarrow import fs

    return isinstance(store, fs.LocalFileSystem) and Path(path).is_symlink()


def read_footers(
    files: Sequence[tuple[str, int]], options: Options
) -> list[tuple[str, int, list[tuple[str, str, int, int]]]]:
    """Read the footers of files, given by URI and size in bytes.

    Returns:
        Of each the schema as text, how many rows there are, and of each column chunk of the first
        row groups the dotted path, codec, compressed and uncompressed bytes.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda file: _read_footer(file[0], file[1], options), files))


def _read_footer(
    uri: str, size_bytes: int, options: Options
) -> tuple[str, int, list[tuple[str, str, int, int]]]:
    from pyarrow import parquet as pq

    store, path = open_store(uri, options)
    try:
        with store.open_input_file(path) as stream:
            is_listed_one = stream.size() == size_bytes
            footer_bytes = int.from_bytes(stream.read_at(8, stream.size() - 8)[:4], "little")
            metadata = pq.read_metadata(stream)
        _check_not_signed(metadata, footer_bytes)
        text = schema_text(metadata.schema)
    except Exception as error:
        raise ValueError(f"a Parquet footer of file {uri!r} can't be read: {error}") from error
    if not is_listed_one:
        raise ValueError(f"file {uri!r} is not the one that was listed")
    groups = [metadata.row_group(n) for n in range(min(metadata.num_row_groups, _ROW_GROUPS))]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    return text, metadata.num_rows, [_sizes(chunk) for chunk in chunks]


def _check_not_signed(metadata: Any, footer_bytes: int) -> None:
    """Refuse columns that are encrypted, of which pyarrow tells nothing but ends the process."""
    if footer_bytes != metadata.serialized_size:
        raise ValueError("its columns are encrypted")


def _sizes(chunk: Any) -> tuple[str, str, int, int]:
    codec = str(chunk.compression).lower()
    sizes = chunk.total_compressed_size, chunk.total_uncompressed_size
    return chunk.path_in_schema, codec, *sizes
