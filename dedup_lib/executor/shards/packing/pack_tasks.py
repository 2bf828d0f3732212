"""Write the rows of a Parquet file as shards, in a task on an executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, islice
from typing import Any, NamedTuple

from dedup_lib.executor.checked_ids import check_ids
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.kept_rows import (
    Bitmap,
    invert,
    keepers_by_row,
    kept_row_groups,
    name_file_in_errors,
    open_file,
    rows_to_remove,
)
from dedup_lib.executor.new_file import check_size, opened, write_new
from dedup_lib.executor.rewrite_file import open_rows
from dedup_lib.executor.shards.marks import MARK_SUFFIX
from dedup_lib.executor.shards.packing.pack import PackedShard, RowsFile, check_packed, write_shard
from dedup_lib.executor.shards.packing.sample_columns import SampleColumns, choose_columns
from dedup_lib.executor.shards.packing.sample_marks import mark_samples
from dedup_lib.executor.shards.packing.sample_rows import RowSample, read_samples
from dedup_lib.executor.stores import StoreFile, open_store


class ShardsOfFile(NamedTuple):
    """The shards that a file's rows fill.

    Attributes:
        file_number: The number of the file in the table, from 0.
        directory: The URI of the directory of all shards.
        numbers: The numbers of the shards; none if no row of the file is written.
        num_digits: The digits of a number in a shard's name.
        samples_per_shard: The number of rows in each shard but the last.
        partition: The values that the file's directories have in their names.
    """

    file_number: int
    directory: str
    numbers: range
    num_digits: int
    samples_per_shard: int
    partition: Mapping[str, str | None]

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
        FileRefusedError: The file was changed, has other IDs at the planned positions, or a row
            that can't be a sample; or a new shard does not hold what was written.
        FileReadError: The file can't be read.

    *Cost:* the file is read once, and the IDs of row groups with planned rows twice. *Memory:* that
    of `rewrite_file.rewrite`, and some 600 bytes for each member of a shard.
    """
    source = StoreFile(*open_store(task.source, options))
    if not shards.numbers and not bitmaps:
        check_size(source, task)
        return Rewritten(0, 0, is_copy=False)
    with opened(source, task) as stream:
        with name_file_in_errors(task.source):
            file = open_rows(stream, task)
        is_planned = rows_to_remove(bitmaps or (), task.num_rows)
        check_ids(file, is_planned, bitmaps or (), selection.id_column, task.source)
        is_left_out = is_planned
        if selection.action != "remove":
            nothing = rows_to_remove((), task.num_rows)
            is_left_out = invert(is_planned) if selection.action == "extract" else nothing
        columns = _choose(file, selection, task.source)
        samples = read_samples(
            kept_row_groups(file, is_left_out, task.source),
            compress(range(task.num_rows), invert(is_left_out).to_pylist()),
            columns,
            shards.partition,
            task.source,
        )
        if selection.action == "annotate":
            keepers = keepers_by_row(bitmaps or ())
            samples = mark_samples(samples, is_planned.to_pylist(), keepers, columns)
        writing = _Writing(
            samples,
            shards.samples_per_shard,
            RowsFile(task.source, shards.file_number, columns.has_keys),
        )
        attempts = (
            write_new(target, task.partial_directory, options, writing.write)
            for target in shards.targets
        )
        written = [one for one in attempts if one is not None]
        num_rows = sum(shard.num_samples for shard, _ in written)
        if num_rows != is_left_out.false_count:
            raise RuntimeError(f"{num_rows} rows of {task.source!r} were written, not all")
    return Rewritten(
        num_rows,
        sum(num_bytes for _, num_bytes in written),
        is_copy=False,
        renamed_rows=sum(shard.num_by_position for shard, _ in written),
    )


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


def probe(source: str, selection: RowSelection, options: Mapping[str, str]) -> Rewritten:
    """Check that the rows of a file, given by its URI, can be samples; none is read.

    Raises:
        FileRefusedError: They can't.
    """
    store, path = open_store(source, options)
    with store.open_input_file(path) as stream, name_file_in_errors(source):
        _choose(open_file(stream), selection, source)
    return Rewritten(0, 0, is_copy=False)


def _choose(file: Any, selection: RowSelection, source: str) -> SampleColumns:
    added = [MARK_SUFFIX] if selection.action == "annotate" else []
    return choose_columns(file, selection.id_column, source, added)
