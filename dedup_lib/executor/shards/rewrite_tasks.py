"""Write a shard without some of its samples, in a task on an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dedup_lib.executor import new_file
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.kept_rows import Bitmap
from dedup_lib.executor.new_file import NewRows, OpenFile
from dedup_lib.executor.shards.headers import END_BYTES
from dedup_lib.executor.shards.planned_samples import read_planned
from dedup_lib.executor.shards.read_tasks import read_ahead
from dedup_lib.executor.shards.rewrite import check_written, extract_samples, remove_samples
from dedup_lib.executor.stores import StoreFile, open_store


def rewrite_shard(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
    first_ids: Mapping[str, str],
) -> Rewritten:
    """Write a shard without the planned samples, or only these; see `new_file.rewrite`.

    Args:
        task: The shard.
        bitmaps: The planned samples by their index; None if there is none.
        options: Options for pyarrow's file systems, except the local one.
        selection: The action, and where the IDs are, as for `find_ids`.
        first_ids: NeMo Curator's first ID in each shard, by its URI, encoded as paths of the plan.

    Raises:
        FileRefusedError: The shard was changed, has other IDs than the planned ones, or a link
            would lose its target.

    *Cost:* what stays is read and written in pieces of 8 MB; the headers are read twice. A shard
    that loses nothing is copied, unless it does not end in zeros. A shard is not written if no
    member stays.
    """
    if not bitmaps and selection.action == "remove" and not _has_end(task, options):
        bitmaps = [Bitmap(0, b"")]  # no row goes, but the shard is written anew, with an end
    writing = _Writing(first_ids.get(encode_path(task.source), ""))
    return new_file.rewrite(task, bitmaps, options, selection, writing.write)


def _has_end(task: FileTask, options: Mapping[str, str]) -> bool:
    """Tell from its last bytes whether a shard has an end; if its data are zeros, it may not."""
    store, path = open_store(task.source, options)
    try:
        with store.open_input_file(path) as file:
            file.seek(max(0, task.size_bytes - END_BYTES))
            return not any(file.read(END_BYTES))
    except FileNotFoundError:  # the copy will say so
        return True


class _Writing(NamedTuple):
    """Writes the samples that stay; `first_id` is NeMo Curator's first ID in the shard."""

    first_id: str

    def write(
        self,
        stream: OpenFile,
        target: StoreFile,
        task: FileTask,
        bitmaps: Sequence[Bitmap],
        selection: RowSelection,
    ) -> NewRows:
        with read_ahead(stream.file, is_remote=stream.is_remote) as file:
            shard, removed, _ = read_planned(
                file, task, bitmaps, selection.id_column, self.first_id
            )
        write = extract_samples if selection.action == "extract" else remove_samples
        with target.store.open_output_stream(target.path) as sink:
            written = write(stream.file, shard, removed, sink)
        with target.store.open_input_file(target.path) as new:
            check_written(new, new.size(), target.path, written)
        return NewRows(written.num_samples, is_empty=not written.num_members)
