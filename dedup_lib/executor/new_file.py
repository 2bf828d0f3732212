"""Write a new file for an old one, in a task on an executor: unfinished first, then renamed."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.kept_rows import Bitmap, name_file_in_errors
from dedup_lib.executor.stores import (
    FileRefusedError,
    StoreFile,
    copy_file,
    copy_in_store,
    open_store,
    rename_finished,
    renames_in_one_step,
    size_of,
)

_NOTHING = Rewritten(0, 0, is_copy=False)
_READ_AT_ONCE_BYTES = 32 * 1024**2
_Filled = TypeVar("_Filled")


class OpenFile(NamedTuple):
    """A file that is open, and whether each read is a request to an object store."""

    file: Any
    is_remote: bool


class NewRows(NamedTuple):
    """What a new file holds.

    Attributes:
        num_rows: The number of its rows.
        is_empty: Whether it holds nothing that must be kept.
        is_read_anew: Whether the rows were counted by reading the new file.
    """

    num_rows: int
    is_empty: bool
    is_read_anew: bool = False


# Writes the selected rows of an open file to a new one.
WriteRows = Callable[[OpenFile, StoreFile, FileTask, Sequence[Bitmap], RowSelection], NewRows]


def rewrite(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
    write_rows: WriteRows,
) -> Rewritten:
    """Write the selected rows of a file to an unfinished file, then rename it to the target.

    Several attempts at the same file do no harm: each writes a separate file, and the last attempt
    to end renames its file to the target.

    Args:
        task: The file, or a row with its fields.
        bitmaps: The removed rows, as `Bitmap` or rows with its fields; None if no row is removed.
        options: Options for pyarrow's file systems, except the local one.
        selection: The rows to write.
        write_rows: Writes them if at least one row is left out.

    Raises:
        FileRefusedError: The file was changed; or `write_rows` refuses it.
    """
    source, bitmaps = StoreFile(*open_store(task.source, options)), bitmaps or ()
    if selection.action == "extract" and not bitmaps and not task.keeps_empty:
        check_size(source, task)
        return _NOTHING
    if selection.action == "remove" and not bitmaps and task.partial_directory is None:
        check_size(source, task)
        target = StoreFile(*open_store(task.target, options))
        if copy_in_store(source, target, task.size_bytes):
            return Rewritten(task.num_rows, task.size_bytes, is_copy=True)

    def fill(partial: StoreFile) -> tuple[NewRows, bool] | None:
        new, is_copy = _fill(partial, source, task, bitmaps, selection, write_rows=write_rows)
        return None if new.is_empty and not task.keeps_empty else (new, is_copy)

    written = write_new(task.target, task.partial_directory, options, fill)
    if written is None:
        return _NOTHING
    (new, is_copy), written_bytes = written
    is_counted = new.is_read_anew and task.partial_directory is not None  # not before an upload
    return Rewritten(new.num_rows, written_bytes, is_copy, is_counted)


def write_new(
    target: str,
    partial_directory: str | None,
    options: Mapping[str, str],
    fill: Callable[[StoreFile], _Filled | None],
) -> tuple[_Filled, int] | None:
    """Let a function write an unfinished file, then give it the name of the target.

    Args:
        target: The URI of the file to write.
        partial_directory: As `FileTask` says.
        options: Options for pyarrow's file systems, except the local one.
        fill: Writes the file, and says what it wrote; None if no file is wanted.

    Returns:
        What the function said, and the size of the file; None if no file is wanted.
    """
    if partial_directory is None:
        return _write_and_upload(target, options, fill)
    store, directory = open_store(partial_directory, options)
    partial = StoreFile(store, f"{directory}/{uuid.uuid4().hex}")
    # Do not make parents: a late attempt must not restore directories that a failed run deleted.
    store.create_dir(directory, recursive=False)
    try:
        if (filled := fill(partial)) is None:
            store.delete_file(partial.path)
            return None
        return filled, _give_name(partial, open_store(target, options)[1])
    except BaseException:
        with contextlib.suppress(OSError):  # this frees its disk space for the next attempt
            store.delete_file(partial.path)
        raise


def _fill(
    partial: StoreFile,
    source: StoreFile,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    selection: RowSelection,
    *,
    write_rows: WriteRows,
) -> tuple[NewRows, bool]:
    """Write the selected rows; return them, and whether the file was only copied."""
    if selection.action == "remove" and not bitmaps:
        check_size(source, task)
        copy_file(source, partial)
        return NewRows(task.num_rows, is_empty=False), True
    with opened(source, task) as stream:
        return write_rows(stream, partial, task, bitmaps, selection), False


def check_size(source: StoreFile, task: FileTask) -> None:
    """Refuse a file that has another size than was planned."""
    if source.store.get_file_info(source.path).size != task.size_bytes:
        raise _changed(task)


def _changed(task: FileTask) -> FileRefusedError:
    return FileRefusedError("changed", f"file {task.source!r} was changed or deleted")


@contextlib.contextmanager
def opened(source: StoreFile, task: FileTask) -> Iterator[OpenFile]:
    """Open a file of the planned size; a small file is read at once."""
    import pyarrow as pa

    try:
        stream = source.store.open_input_file(source.path)
    except FileNotFoundError as error:
        raise _changed(task) from error
    with stream:
        if stream.size() != task.size_bytes:
            raise _changed(task)
        if task.size_bytes > _READ_AT_ONCE_BYTES:
            yield OpenFile(stream, is_remote=not renames_in_one_step(source.store))
        else:
            with name_file_in_errors(task.source):
                content = pa.BufferReader(stream.read_buffer())
            yield OpenFile(content, is_remote=False)


def _write_and_upload(
    target_uri: str, options: Mapping[str, str], fill: Callable[[StoreFile], _Filled | None]
) -> tuple[_Filled, int] | None:
    """Finish a file on the executor's disk, then upload it.

    If an exception interrupts an upload, pyarrow ends it as if it were complete. So only the store
    can fail during an upload. Late attempts upload the same bytes.
    """
    from pyarrow import fs

    target = StoreFile(*open_store(target_uri, options))
    with tempfile.TemporaryDirectory(prefix="remove-duplicates-") as directory:
        partial = StoreFile(fs.LocalFileSystem(), f"{directory}/{uuid.uuid4().hex}")
        if (filled := fill(partial)) is None:
            return None
        written_bytes = size_of(*partial)
        if renames_in_one_step(target.store):
            target.store.create_dir(target.path.rpartition("/")[0])
        copy_file(partial, target)
    return filled, written_bytes


def _give_name(partial: StoreFile, target: str) -> int:
    """Rename a finished file to the target; return its size."""
    partial.store.create_dir(target.rpartition("/")[0])
    return rename_finished(partial.store, partial.path, target)
