"""Write the rows of a Parquet file as shards, in a task on an executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, islice
from typing import Any, NamedTuple

from dedup_lib.executor.checked_ids import check_ids, rows_with_ids
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
from dedup_lib.executor.new_file import OpenFile, check_size, opened, write_new
from dedup_lib.executor.rewrite_file import open_rows
from dedup_lib.executor.shards.marks import MARK_SUFFIX
from dedup_lib.executor.shards.packing.pack import PackedShard, RowsFile, check_packed, write_shard
from dedup_lib.executor.shards.packing.sample_columns import (
    SampleColumns,
    choose_columns,
    choose_members,
)
from dedup_lib.executor.shards.packing.sample_marks import mark_samples
from dedup_lib.executor.shards.packing.sample_rows import RowSample, read_samples
from dedup_lib.executor.shards.packing.stored_columns import (
    StoredSchema,
    arrow_schema,
    columns_of,
)
from dedup_lib.executor.shards.packing.stored_file import StoredFile
from dedup_lib.executor.stores import FileRefusedError, StoreFile, open_store


class ShardsOfFile(NamedTuple):
    """The shards that a file's rows fill.

    Attributes:
        file_number: The number of the file in the table, from 0.
        directory: The URI of the directory of all shards.
        numbers: The numbers of the shards; none if no row of the file is written.
        num_digits: The digits of a number in a shard's name.
        samples_per_shard: The number of rows in each shard but the last.
        partition: The values of the file's partition columns: the texts of the JSON; with a schema,
            texts as `StoredFile` takes them.
        schema: The schema of the table; None if the file has the columns of the table.
    """

    file_number: int
    directory: str
    numbers: range
    num_digits: int
    samples_per_shard: int
    partition: Mapping[str, str | None]
    schema: StoredSchema | None = None

    @property
    def targets(self) -> list[str]:
        """The URIs of the shards."""
        return [f"{self.directory}/{number:0{self.num_digits}d}.tar" for number in self.numbers]


def pack_file(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
    shards: ShardsOfFile,
) -> Rewritten:
    """Write the selected rows of a Parquet file as samples of new shards, or all rows with marks.

    Args:
        task: The file; its target is not used.
        bitmaps: The planned rows; None if no row is planned.
        options: Options for pyarrow's file systems, except the local one.
        selection: The rows to write, and the column of the image ID.
        shards: The shards to write.

    Raises:
        FileRefusedError: The file was changed, has other IDs at the positions of planned or visible
            rows, or a row that can't be a sample; or a new shard does not hold what was written.
        FileReadError: The file can't be read.

    *Cost:* the file is read once, and the IDs of row groups with planned rows twice; if rows are
    hidden, all IDs. *Memory:* that of `rewrite_file.rewrite`, and some 600 bytes for each member of
    a shard.
    """
    source = StoreFile(*open_store(task.source, options))
    if not shards.numbers and not bitmaps and not task.planned_ids:
        check_size(source, task)
        return Rewritten(0, 0, is_copy=False)
    with opened(source, task) as stream:
        rows = _choose_rows(stream, task, bitmaps or (), selection, shards)
        samples = read_samples(
            rows.tables,
            compress(range(len(rows.is_left_out)), invert(rows.is_left_out).to_pylist()),
            rows.columns,
            shards.partition if shards.schema is None else {},
            task.source,
        )
        if selection.action == "annotate":
            keepers = keepers_by_row(bitmaps or ())
            samples = mark_samples(samples, rows.is_planned.to_pylist(), keepers, rows.columns)
        writing = _Writing(
            samples,
            shards.samples_per_shard,
            RowsFile(task.source, shards.file_number, rows.columns.has_keys),
        )
        attempts = (
            write_new(target, task.partial_directory, options, writing.write)
            for target in shards.targets
        )
        written = [one for one in attempts if one is not None]
        num_rows = sum(shard.num_samples for shard, _ in written)
        if num_rows != rows.is_left_out.false_count:
            raise RuntimeError(f"{num_rows} rows of {task.source!r} were written, not all")
    return Rewritten(
        num_rows,
        sum(num_bytes for _, num_bytes in written),
        is_copy=False,
        renamed_rows=sum(shard.num_by_position for shard, _ in written),
    )


class _Rows(NamedTuple):
    """The rows to write, in Arrow tables; for each row of the file two facts; the columns."""

    tables: Iterator[Any]
    is_left_out: Any
    is_planned: Any
    columns: SampleColumns


def _choose_rows(
    stream: OpenFile,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    selection: RowSelection,
    shards: ShardsOfFile,
) -> _Rows:
    """Choose the rows and columns to write, and check the IDs; no other column is read yet."""
    with name_file_in_errors(task.source):
        file = open_rows(stream, task.source, task.num_rows if task.visible is None else None)
    stored = None
    if shards.schema is not None:
        stored = StoredFile(file, shards.schema, shards.partition, task.source)
    id_name = selection.id_column
    if stored is not None:
        id_name = stored.find_ids(id_name, is_needed=_has_ids(task, bitmaps))
    if task.planned_ids is not None:
        is_planned = rows_with_ids(file, task.planned_ids, id_name, task.source)
    else:
        is_planned = rows_to_remove(bitmaps, count_rows(file.metadata))
        check_ids(file, is_planned, bitmaps, id_name, task.source)
    is_left_out = is_planned
    if selection.action != "remove":
        nothing = rows_to_remove((), len(is_planned))
        is_left_out = invert(is_planned) if selection.action == "extract" else nothing
    if task.visible is not None:
        is_hidden = _find_hidden(file, task, id_name)
        _check_visible(is_planned, is_hidden, task)
        is_left_out = _either(is_left_out, is_hidden)
    if stored is None:
        tables = kept_row_groups(file, is_left_out, task.source)
        columns = choose_columns(file, id_name, task.source, _added(selection))
        return _Rows(tables, is_left_out, is_planned, columns)
    names = list(stored.stored_names.values()) or None
    tables = map(stored.typed, kept_row_groups(file, is_left_out, task.source, names))
    columns = choose_members(
        stored.arrow_schema, selection.id_column, task.source, _added(selection)
    )
    if is_left_out.false_count and not {*columns.data} & {*stored.stored_names}:
        raise FileRefusedError(
            "types",
            f"file {task.source!r} has none of the table's columns of bytes: {columns.data}",
        )
    return _Rows(tables, is_left_out, is_planned, columns)


def _has_ids(task: FileTask, bitmaps: Sequence[Bitmap]) -> bool:
    """Tell whether Spark found an ID in some planned or visible row of a file."""
    parts = [*bitmaps, *(task.visible or ())]
    return bool(task.planned_ids) or any(part.checksum for part in parts)


def _find_hidden(file: Any, task: FileTask, id_name: str) -> Any:
    """Return for each row whether the table hides it; the IDs of all others are compared."""
    visible = task.visible or ()
    is_visible = rows_to_remove(visible, count_rows(file.metadata))
    if is_visible.true_count != task.num_rows:
        raise FileRefusedError(
            "changed",
            f"file {task.source!r} has {is_visible.true_count} rows that the table shows, but had "
            f"{task.num_rows} when the run was planned",
        )
    check_ids(file, is_visible, visible, id_name, task.source)
    return invert(is_visible)


def _check_visible(is_planned: Any, is_hidden: Any, task: FileTask) -> None:
    from pyarrow import compute as pc

    if pc.and_(is_planned, is_hidden).true_count:
        raise FileRefusedError("changed", f"the plan has hidden rows of file {task.source!r}")


def _either(one: Any, other: Any) -> Any:
    from pyarrow import compute as pc

    return pc.or_(one, other)


class _Writing(NamedTuple):
    """Writes the next samples as a shard."""

    samples: Iterator[RowSample]
    samples_per_shard: int
    file: RowsFile

    def write(self, target: StoreFile) -> PackedShard:
        with target.store.open_output_stream(target.path) as sink:
            packed = write_shard(islice(self.samples, self.samples_per_shard), sink, self.file)
        with target.store.open_input_file(target.path) as new:
            check_packed(new, new.size(), target.path, packed)
        return packed


def probe(
    source: str | None,
    selection: RowSelection,
    options: Mapping[str, str],
    schema: StoredSchema | None = None,
) -> Rewritten:
    """Check that the rows of a file, given by its URI, can be samples; none is read.

    With a schema of the table, the file may be None: then only the schema is checked.

    Raises:
        FileRefusedError: They can't.
    """
    if schema is not None:
        stored = arrow_schema(columns_of(schema))
        choose_members(stored, selection.id_column, "of the table", _added(selection))
    if source is not None:
        store, path = open_store(source, options)
        with store.open_input_file(path) as stream, name_file_in_errors(source):
            file = open_file(stream)
            if schema is None:
                choose_columns(file, selection.id_column, source, _added(selection))
    return Rewritten(0, 0, is_copy=False)


def _added(selection: RowSelection) -> list[str]:
    """Return the suffixes of members that no column becomes."""
    return [MARK_SUFFIX] if selection.action == "annotate" else []
