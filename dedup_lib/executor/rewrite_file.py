"""Rewrite one Parquet file without some of its rows, with pyarrow, in a task on an executor."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor import new_file
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
from dedup_lib.executor.new_file import NewRows, OpenFile
from dedup_lib.executor.parquet_values.map_keys import find_optional_keys
from dedup_lib.executor.stores import (
    FileRefusedError,
    StoreFile,
    open_store,
)
from dedup_lib.executor.unread_columns import check_page_headers, find_unread
from dedup_lib.executor.writer_options import int96_unit, writer_options

_REMOVE = RowSelection()
_NOTHING = Rewritten(0, 0, is_copy=False)


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
    """Write the selected rows of a Parquet file to a new file; see `new_file.rewrite`.

    Raises:
        FileRefusedError: The file was changed, pyarrow would change its types, or other IDs than
            the planned ones are at the positions of removed rows.
        FileReadError: The file can't be read.

    *Memory:* about 450 MB with pyarrow, whatever the size of the file; or two and a half times its
    largest page, if that is more. `annotate` takes 500 more bytes for each removed row with a
    keeper.
    """
    return new_file.rewrite(task, bitmaps, options, selection, _write_rows)


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


def _write_rows(
    stream: OpenFile,
    partial: StoreFile,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    selection: RowSelection,
) -> NewRows:
    num_rows = _write(_choose_rows(stream, task, bitmaps, selection), task.source, partial)
    return NewRows(num_rows, is_empty=num_rows == 0 < task.num_rows)


def _choose_rows(
    stream: OpenFile, task: FileTask, bitmaps: Sequence[Bitmap], selection: RowSelection
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


def _open(stream: OpenFile, task: FileTask) -> tuple[Any, FileLayout]:
    """Return pyarrow's reader of a file, and the layout of the file."""
    with name_file_in_errors(task.source):
        file = open_rows(stream, task.source, task.num_rows)
        options = writer_options(file)
    options, key_values = cut_by_content(options, file.metadata.metadata or {})
    return file, FileLayout(file.schema_arrow, options, key_values)


def open_rows(stream: OpenFile, source: str, num_rows: int | None) -> Any:
    """Return pyarrow's reader of a file, which loses no digit of a timestamp.

    Args:
        stream: The file, opened.
        source: The name of the file in messages.
        num_rows: The number of rows that it must have; None for any.

    Raises:
        FileRefusedError: The file was changed, or pyarrow would lose digits.
    """
    file = open_file(stream.file, is_remote=stream.is_remote)
    if num_rows not in (None, count_rows(file.metadata)):
        raise FileRefusedError("changed", f"file {source!r} was changed")
    if (unit := int96_unit(file, stream.file, source)) != "us":
        stream.file.seek(0)
        file = open_file(stream.file, unit, is_remote=stream.is_remote)
    return file


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
