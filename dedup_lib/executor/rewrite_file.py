"""Rewrite one Parquet file without some of its rows, by pyarrow, wherever that runs.

Executors get this module, and those of this library that it imports, by value and need nothing but
pyarrow: these import nothing else of this library, and pyarrow only where it is used.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dedup_lib.executor.annotated_rows import Footer, annotated, annotated_footer
from dedup_lib.executor.kept_rows import (
    Bitmap,
    inverted,
    keepers_by_row,
    kept_row_groups,
    open_file,
    reading,
    rows_to_remove,
)
from dedup_lib.executor.stores import FileRefusedError, open_store
from dedup_lib.executor.writer_options import check_int96, writer_options


@dataclass(frozen=True)
class FileTask:
    """One file to rewrite.

    Attributes:
        source: Its URI, whose characters stand for themselves.
        target: The URI of the file to write.
        partial_directory: The URI of a directory for files that are not finished; None: one of the
            executor's own, and they are uploaded when they are.
        size_bytes: As planned.
        num_rows: As planned.
        keeps_empty: Whether to write a file without rows where none is wanted.
    """

    source: str
    target: str
    partial_directory: str | None
    size_bytes: int
    num_rows: int
    keeps_empty: bool


class Wanted(NamedTuple):
    """What is written: the rows that stay, or the others (`extract`), or all (`annotate`).

    Attributes:
        action: `remove`, `extract` or `annotate`.
        id_column: The image ID's, whose type the keepers have; only to annotate.
    """

    action: str = "remove"
    id_column: str = ""


_REMOVE = Wanted()


class Rewritten(NamedTuple):
    """What came of a file: rows, bytes written (no file: 0), and whether it was just copied."""

    num_rows: int
    written_bytes: int
    is_copy: bool


_NOTHING = Rewritten(0, 0, is_copy=False)


class _Place(NamedTuple):
    """A file in one of pyarrow's file systems."""

    store: Any
    path: str


class _Chosen(NamedTuple):
    """What is written: with what, which rows, and how many these are."""

    footer: Footer
    tables: Iterator[Any]
    num_rows: int


def outcome(function: Callable[..., Rewritten], *arguments: Any) -> tuple[Any, ...]:
    """Call a function; return rows, bytes, copied files, and the kind and text of a refusal.

    What a second try could mend is raised, so that Spark tries again.
    """
    try:
        done = function(*arguments)
    except FileRefusedError as error:
        return 0, 0, 0, error.kind, str(error)
    return done.num_rows, done.written_bytes, int(done.is_copy), None, None


def rewrite(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    wanted: Wanted = _REMOVE,
) -> Rewritten:
    """Write a file's rows that are wanted to a file of its own, and give that its name at the end.

    Two attempts at the same file do no harm: each writes a partial file, and the last to end
    gives it the target's name.

    Args:
        task: The file, or a row with its fields.
        bitmaps: The rows that go, or rows with these fields; None for none.
        options: For pyarrow's file systems, but for the local one.
        wanted: Which rows are written.

    Raises:
        FileRefusedError: The file is not the one that was planned, or can't be kept as it is.
        FileReadError: It can't be read.

    *Memory:* some 450 MB with what pyarrow takes itself, whatever the file weighs; or two and a
    half times its largest page, where that is more. To annotate takes some 500 bytes besides for
    each removed row of the file that has a keeper: its ID as Spark hands it over, and by its row.
    """
    source = _Place(*open_store(task.source, options))
    if source.store.get_file_info(source.path).size != task.size_bytes:
        raise FileRefusedError("changed", f"file {task.source!r} was changed or deleted")
    if wanted.action == "extract" and not bitmaps and not task.keeps_empty:
        return _NOTHING
    if task.partial_directory is None:
        return _uploaded(source, task, bitmaps or (), wanted, options)
    store, directory = open_store(task.partial_directory, options)
    partial = _Place(store, f"{directory}/{uuid.uuid4().hex}")
    # Not its parents: a late attempt shall not bring back what a failed run has cleaned up.
    store.create_dir(directory, recursive=False)
    try:
        num_rows, is_copy = _fill(partial, source, task, bitmaps or (), wanted)
        if num_rows == 0 < task.num_rows and not task.keeps_empty:
            store.delete_file(partial.path)
            return _NOTHING
        written_bytes = _give_name(partial, open_store(task.target, options)[1])
    except BaseException:
        with contextlib.suppress(OSError):  # the next attempt shall have its space
            store.delete_file(partial.path)
        raise
    return Rewritten(num_rows, written_bytes, is_copy)


def probe(source: str, partial_directory: str | None, options: Mapping[str, str]) -> Rewritten:
    """Find out whether a file can be rewritten here and all of it be kept, without doing it.

    Raises:
        FileRefusedError: It can't.
    """
    try:
        store, path = open_store(source, options)
        with store.open_input_file(path) as stream:
            writer_options(open_file(stream))
    except OSError as error:
        raise FileRefusedError("unavailable", f"pyarrow can't read {source!r}: {error}") from error
    if partial_directory is None:
        return _NOTHING
    tried = f"{partial_directory}/{uuid.uuid4().hex}"
    try:
        store, path = open_store(tried, options)
        store.create_dir(path.rpartition("/")[0], recursive=False)
        with store.open_output_stream(path) as written:
            written.write(b"?")
        store.delete_file(path)
    except OSError as error:
        raise FileRefusedError("unavailable", f"pyarrow can't write {tried!r}: {error}") from error
    return _NOTHING


def _fill(
    partial: _Place, source: _Place, task: FileTask, bitmaps: Sequence[Bitmap], wanted: Wanted
) -> tuple[int, bool]:
    """Write a file's rows that are wanted; return how many, and whether it was just copied."""
    if wanted.action == "remove" and not bitmaps:
        _copy(source, partial)
        return task.num_rows, True
    with source.store.open_input_file(source.path) as stream:
        return _write(_chosen(stream, task, bitmaps, wanted), task.source, partial), False


def _uploaded(
    source: _Place,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    wanted: Wanted,
    options: Mapping[str, str],
) -> Rewritten:
    """Finish a file on the executor's own disk, then upload it.

    pyarrow ends an upload that an exception cuts off as if it were complete, so no error but the
    store's own may come between; and what late attempts upload is the same.
    """
    from pyarrow import fs

    target = _Place(*open_store(task.target, options))
    with tempfile.TemporaryDirectory(prefix="remove-duplicates-") as directory:
        partial = _Place(fs.LocalFileSystem(), f"{directory}/{uuid.uuid4().hex}")
        num_rows, is_copy = _fill(partial, source, task, bitmaps, wanted)
        if num_rows == 0 < task.num_rows and not task.keeps_empty:
            return _NOTHING
        written_bytes = _size_of(partial)
        target.store.create_dir(target.path.rpartition("/")[0])
        _copy(partial, target)
    return Rewritten(num_rows, written_bytes, is_copy)


def _copy(source: _Place, target: _Place) -> None:
    from pyarrow import fs

    fs.copy_files(
        source.path,
        target.path,
        source_filesystem=source.store,
        destination_filesystem=target.store,
        chunk_size=8 * 1024**2,
        use_threads=False,
    )


def _give_name(partial: _Place, target: str) -> int:
    """Give a file that is finished its name, in a directory of its own; return what it weighs."""
    store = partial.store
    size = _size_of(partial)
    store.create_dir(target.rpartition("/")[0])
    try:
        store.move(partial.path, target)
    except OSError:
        # HDFS does not replace: then another attempt has written the same rows there.
        if store.get_file_info(target).size != size:
            raise
        store.delete_file(partial.path)
    return size


def _size_of(place: _Place) -> int:
    size: int | None = place.store.get_file_info(place.path).size
    if size is None:
        raise FileNotFoundError(f"{place.path!r} was deleted")
    return size


def _chosen(stream: Any, task: FileTask, bitmaps: Sequence[Bitmap], wanted: Wanted) -> _Chosen:
    """Choose what is written of a file, by the action; no row is read yet."""
    file, footer = _opened(stream, task)
    goes = rows_to_remove(bitmaps, task.num_rows)
    if wanted.action == "annotate":
        footer = annotated_footer(footer, wanted.id_column)
        keepers = keepers_by_row(bitmaps)
        tables = annotated(file, goes, keepers, footer.schema, task.source)
        return _Chosen(footer, tables, task.num_rows)
    if wanted.action == "extract":
        goes = inverted(goes)
    return _Chosen(footer, kept_row_groups(file, goes, task.source), goes.false_count)


def _opened(stream: Any, task: FileTask) -> tuple[Any, Footer]:
    """Return pyarrow's reader of a file, and with what a file like it is written."""
    with reading(task.source):
        file = open_file(stream)
        if file.metadata.num_rows != task.num_rows:
            raise FileRefusedError("changed", f"file {task.source!r} was changed")
        options = writer_options(file)
        check_int96(file, stream, task.source)
    return file, Footer(file.schema_arrow, options, file.metadata.metadata or {})


def _write(chosen: _Chosen, source: str, place: _Place) -> int:
    """Write rows, a row group for each table; return how many."""
    from pyarrow import parquet as pq

    footer, num_rows = chosen.footer, 0
    with (
        place.store.open_output_stream(place.path) as sink,
        pq.ParquetWriter(sink, footer.schema, store_schema=False, **footer.options) as writer,
    ):
        for table in chosen.tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            num_rows += table.num_rows
        if footer.key_values:
            writer.add_key_value_metadata(footer.key_values)
    if num_rows != chosen.num_rows:
        raise RuntimeError(f"{num_rows} rows of {source!r} were written, not {chosen.num_rows}")
    return num_rows
