"""Write a shard as a Parquet file, in a task on an executor."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor import new_file
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.kept_rows import Bitmap, keepers_by_row
from dedup_lib.executor.new_file import NewRows, OpenFile
from dedup_lib.executor.shards.compressed import SHARD_SUFFIXES, open_shard
from dedup_lib.executor.shards.rewrite_tasks import NO_SAMPLE_GOES, read_planned
from dedup_lib.executor.shards.unpack import Columns, Mark, Rows, check_rows, write_rows
from dedup_lib.executor.stores import StoreFile


class NewTable(NamedTuple):
    """The table to write.

    Attributes:
        directory: The URI of the directory of its files.
        columns: Its columns.
        first_ids: NeMo Curator's first ID in each shard, as for `rewrite_shard`.
    """

    directory: str
    columns: Columns
    first_ids: Mapping[str, str]


def unpack_shard(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
    table: NewTable,
) -> Rewritten:
    """Write a shard's samples without the planned ones, only these, or all with marks, as Parquet.

    The target of the task is not used: `file_name` names the file. See `new_file.rewrite`.

    Raises:
        FileRefusedError: The shard was changed, or has other IDs than the planned ones.

    *Cost:* what stays is read once, written once, and read once more; the headers are read twice.
    """
    path = task.target.removeprefix(f"{table.directory}/")
    task = dataclasses.replace(task, target=f"{table.directory}/{file_name(path)}")
    if not bitmaps and selection.action == "remove":
        bitmaps = NO_SAMPLE_GOES
    first_id = table.first_ids.get(encode_path(task.source), "")
    unpacking = _Unpacking(first_id, table.columns, options)
    return new_file.rewrite(task, bitmaps, options, selection, unpacking.write)


def file_name(path: str) -> str:
    """Return the name of a shard's Parquet file; readers of tables do not look in directories."""
    suffix = next(one for one in SHARD_SUFFIXES if path.lower().endswith(one))
    return path[: -len(suffix)].replace("/", "-") + ".parquet"


class _Unpacking(NamedTuple):
    """Writes samples as rows; `first_id` is NeMo Curator's first ID in the shard."""

    first_id: str
    columns: Columns
    options: Mapping[str, str]

    def write(
        self,
        stream: OpenFile,
        target: StoreFile,
        task: FileTask,
        bitmaps: Sequence[Bitmap],
        selection: RowSelection,
    ) -> NewRows:
        id_from, source = selection.id_column, task.source
        with open_shard(stream.file, task.size_bytes, source, is_remote=stream.is_remote) as plain:
            shard, planned, ids = read_planned(
                plain,
                task,
                bitmaps,
                id_from,
                self.first_id,
                options=self.options,
                needs_all_ids=self.columns.has_ids,
            )
            indexes: Iterable[int] = range(len(shard.samples))
            if selection.action != "annotate":
                is_chosen = selection.action == "extract"
                indexes = [index for index in indexes if (index in planned) is is_chosen]
            marks: list[Mark] = []
            if self.columns.has_marks:
                keepers: Mapping[int, Any] = keepers_by_row(bitmaps)
                marks = [Mark(index in planned, keepers.get(index)) for index in indexes]
            rows = Rows(
                plain.file,
                source,
                [shard.samples[index] for index in indexes],
                [ids.get(index) for index in indexes],
                marks,
            )
            write_rows(rows, self.columns, target)
        check_rows(rows, self.columns, target)
        return NewRows(len(rows.samples), is_empty=not rows.samples)
