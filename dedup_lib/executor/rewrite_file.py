"""Rewrite one Parquet file without some of its rows, with pyarrow, in a task on an executor."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.annotated_rows import FileLayout, annotated_layout, annotated_row_groups
from dedup_lib.executor.checked_ids import check_ids
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.footers import count_rows
from dedup_lib.executor.kept_rows import (
    Bitmap,
    invert,
    keepers_by_row,
    kept_row_groups,
    name_file_in_errors,
    open_file,
    rows_to_remove,
)
from dedup_lib.executor.key_values import cut_by_content, fit_to_rows
from dedup_lib.executor.map_keys import find_optional_keys
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
from dedup_lib.executor.unread_columns import check_page_headers, find_unread
from dedup_lib.executor.writer_options import int96_unit, writer_options

_REMOVE = RowSelection()
_NOTHING = Rewritten(0, 0, is_copy=False)
_READ_AT_ONCE_BYTES = 32 * 1024**2


class _Stream(NamedTuple):
    """A file that is open, and whether each read is a request to an object store."""

    file: Any
    is_remote: bool


class _NewFile(NamedTuple):
    """A file to write: its layout, its rows, and their number."""

    layout: FileLayout
    tables: Iterator[Any]
    num_rows: int


def rewrite(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection = _REMOVE,
) -> Rewritten:
    """Write the selected rows of a file to an unfinished file, then rename it to the target.

    Several attempts at the same file do no harm: each writes a separate file, and the last attempt
    to end renames its file to the target.

    Args:
        task: The file, or a row with its fields.
        bitmaps: The removed rows, as `Bitmap` or rows with its fields; None if no row is removed.
        options: Options for pyarrow's file systems, except the local one.
        selection: The rows to write.

    Raises:
        FileRefusedError: The file was changed, pyarrow would change its types, or other IDs than
            the planned ones are at the positions of removed rows.
        FileReadError: The file can't be read.

    *Memory:* about 450 MB with pyarrow, whatever the size of the file; or two and a half times its
    largest page, if that is more. `annotate` takes 500 more bytes for each removed row with a
    keeper.
    """
    source = StoreFile(*open_store(task.source, options))
    if selection.action == "extract" and not bitmaps and not task.keeps_empty:
        _check_size(source, task)
        return _NOTHING
    if task.partial_directory is None:
        return _write_and_upload(source, task, bitmaps or (), selection, options)
    store, directory = open_store(task.partial_directory, options)
    partial = StoreFile(store, f"{directory}/{uuid.uuid4().hex}")
    # Do not make parents: a late attempt must not restore directories that a failed run deleted.
    store.create_dir(directory, recursive=False)
    try:
        num_rows, is_copy = _fill(partial, source, task, bitmaps or (), selection)
        if num_rows == 0 < task.num_rows and not task.keeps_empty:
            store.delete_file(partial.path)
            return _NOTHING
        written_bytes = _give_name(partial, open_store(task.target, options)[1])
    except BaseException:
        with contextlib.suppress(OSError):  # this frees its disk space for the next attempt
            store.delete_file(partial.path)
        raise
    return Rewritten(num_rows, written_bytes, is_copy)


def probe(source: str, partial_directory: str | None, options: Mapping[str, str]) -> Rewritten:
    """Check that this executor can rewrite a file without changes of types; write no row.

    Raises:
        FileRefusedError: This executor can't rewrite it.
    """
    try:
        store, path = open_store(source, options)
        with store.open_input_file(path) as stream:
            file = _open_to_probe(stream)
            writer_options(file)
            check_page_headers(file.metadata, stream)
            if (reason := find_unread(file)) is not None:
                raise FileRefusedError("types", reason)
    except OSError as error:
        raise FileRefusedError("unavailable", f"pyarrow can't read {source!r}: {error}") from error
    if partial_directory is None:
        return _NOTHING
    trial = f"{partial_directory}/{uuid.uuid4().hex}"
    try:
        store, path = open_store(trial, options)
        store.create_dir(path.rpartition("/")[0], recursive=False)
        with store.open_output_stream(path) as written:
            written.write(b"?")
        store.delete_file(path)
    except OSError as error:
        raise FileRefusedError("unavailable", f"pyarrow can't write {trial!r}: {error}") from error
    return _NOTHING


def _open_to_probe(stream: Any) -> Any:
    import pyarrow as pa

    try:
        return open_file(stream)
    except pa.ArrowInvalid as error:
        if (reason := find_optional_keys(stream)) is None:
            raise
        raise FileRefusedError("types", f"{reason}; Spark can (--engine spark)") from error


def _fill(
    partial: StoreFile,
    source: StoreFile,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    selection: RowSelection,
) -> tuple[int, bool]:
    """Write the selected rows; return their number, and whether the file was only copied."""
    if selection.action == "remove" and not bitmaps:
        _check_size(source, task)
        copy_file(source, partial)
        return task.num_rows, True
    with _opened(source, task) as stream:
        new_file = _choose_rows(stream, task, bitmaps, selection)
        return _write(new_file, task.source, partial), False


def _check_size(source: StoreFile, task: FileTask) -> None:
    if source.store.get_file_info(source.path).size != task.size_bytes:
        raise _changed(task)


def _changed(task: FileTask) -> FileRefusedError:
    return FileRefusedError("changed", f"file {task.source!r} was changed or deleted")


@contextlib.contextmanager
def _opened(source: StoreFile, task: FileTask) -> Iterator[_Stream]:
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
            yield _Stream(stream, is_remote=not renames_in_one_step(source.store))
        else:
            with name_file_in_errors(task.source):
                content = pa.BufferReader(stream.read_buffer())
            yield _Stream(content, is_remote=False)


def _write_and_upload(
    source: StoreFile,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    selection: RowSelection,
    options: Mapping[str, str],
) -> Rewritten:
    """Finish a file on the executor's disk, then upload it.

    If an exception interrupts an upload, pyarrow ends it as if it were complete. So only the store
    can fail during an upload. Late attempts upload the same bytes.
    """
    from pyarrow import fs

    target = StoreFile(*open_store(task.target, options))
    if selection.action == "remove" and not bitmaps:
        _check_size(source, task)
        if copy_in_store(source, target, task.size_bytes):
            return Rewritten(task.num_rows, task.size_bytes, is_copy=True)
    with tempfile.TemporaryDirectory(prefix="remove-duplicates-") as directory:
        partial = StoreFile(fs.LocalFileSystem(), f"{directory}/{uuid.uuid4().hex}")
        num_rows, is_copy = _fill(partial, source, task, bitmaps, selection)
        if num_rows == 0 < task.num_rows and not task.keeps_empty:
            return _NOTHING
        written_bytes = size_of(*partial)
        if renames_in_one_step(target.store):
            target.store.create_dir(target.path.rpartition("/")[0])
        copy_file(partial, target)
    return Rewritten(num_rows, written_bytes, is_copy)


def _give_name(partial: StoreFile, target: str) -> int:
    """Rename a finished file to the target; return its size."""
    partial.store.create_dir(target.rpartition("/")[0])
    return rename_finished(partial.store, partial.path, target)


def _choose_rows(
    stream: _Stream, task: FileTask, bitmaps: Sequence[Bitmap], selection: RowSelection
) -> _NewFile:
    """Choose the rows to write, and check the IDs of planned rows; nothing else is read yet."""
    file, layout = _open(stream, task)
    is_left_out = rows_to_remove(bitmaps, task.num_rows)
    check_ids(file, is_left_out, bitmaps, selection.id_column, task.source)
    if selection.action == "annotate":
        layout = annotated_layout(layout, selection.id_column)
        keepers = keepers_by_row(bitmaps)
        tables = annotated_row_groups(file, is_left_out, keepers, layout.schema, task.source)
        return _NewFile(layout, tables, task.num_rows)
    if selection.action == "extract":
        is_left_out = invert(is_left_out)
    tables = kept_row_groups(file, is_left_out, task.source)
    return _NewFile(layout, tables, is_left_out.false_count)


def _open(stream: _Stream, task: FileTask) -> tuple[Any, FileLayout]:
    """Return pyarrow's reader of a file, and the layout of the file."""
    with name_file_in_errors(task.source):
        file = open_file(stream.file, is_remote=stream.is_remote)
        if count_rows(file.metadata) != task.num_rows:
            raise FileRefusedError("changed", f"file {task.source!r} was changed")
        options = writer_options(file)
        if (unit := int96_unit(file, stream.file, task.source)) != "us":
            stream.file.seek(0)
            file = open_file(stream.file, unit, is_remote=stream.is_remote)
    options, key_values = cut_by_content(options, file.metadata.metadata or {})
    return file, FileLayout(file.schema_arrow, options, key_values)


def _write(new_file: _NewFile, source: str, target: StoreFile) -> int:
    """Write rows, with one row group for each table; return the number of rows."""
    from pyarrow import parquet as pq

    layout, num_rows = new_file.layout, 0
    with (
        target.store.open_output_stream(target.path) as sink,
        pq.ParquetWriter(sink, layout.schema, store_schema=False, **layout.options) as writer,
    ):
        for table in new_file.tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            num_rows += table.num_rows
        if layout.key_values:
            fitted = fit_to_rows(layout.key_values, new_file.num_rows)
            writer.add_key_value_metadata(fitted)
    if num_rows != new_file.num_rows:
        raise RuntimeError(f"{num_rows} rows of {source!r} were written, not {new_file.num_rows}")
    return num_rows
