"""Write a shard without some of its samples, or with marks, in a task on an executor."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor import new_file
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.kept_rows import Bitmap, keepers_by_row, rows_to_remove
from dedup_lib.executor.new_file import NewRows, OpenFile
from dedup_lib.executor.shards.headers import END_BYTES, read_layout
from dedup_lib.executor.shards.read_tasks import read_ahead
from dedup_lib.executor.shards.rewrite import (
    annotate_samples,
    check_written,
    extract_samples,
    remove_samples,
)
from dedup_lib.executor.shards.sample_ids import Numbering, find_ids
from dedup_lib.executor.shards.samples import Sample, Shard, group_samples
from dedup_lib.executor.stores import FileRefusedError, StoreFile, open_store


def rewrite_shard(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
    first_ids: Mapping[str, str],
) -> Rewritten:
    """Write a shard without the planned samples, or only these, or all of them with marks.

    See `new_file.rewrite`.

    Args:
        task: The shard.
        bitmaps: The planned samples by their index; None if there is none.
        options: Options for pyarrow's file systems, except the local one.
        selection: The action, and where the IDs are, as for `find_ids`.
        first_ids: NeMo Curator's first ID in each shard, by its URI, encoded as paths of the plan.

    Raises:
        FileRefusedError: The shard was changed, has other IDs than the planned ones, a link would
            lose its target, or a sample can't get a mark.

    *Cost:* what stays is read and written in pieces of 8 MB; the headers are read twice. A shard
    that loses nothing and gets no mark is copied, unless it does not end in zeros. A shard is not
    written if no member of it stays.
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
            planned = read_planned(file, task, bitmaps, selection.id_column, self.first_id)
            shard, removed = planned.shard, planned.indexes
            with target.store.open_output_stream(target.path) as sink:
                if selection.action == "annotate":  # the ranges between marks are short
                    written = annotate_samples(file, shard, removed, sink, keepers_by_row(bitmaps))
                else:
                    write = extract_samples if selection.action == "extract" else remove_samples
                    written = write(stream.file, shard, removed, sink)
        with target.store.open_input_file(target.path) as new:
            check_written(new, new.size(), target.path, written)
        lost_all = not written.num_members and bool(shard.layout.members)
        return NewRows(written.num_samples, is_empty=lost_all)


class PlannedShard(NamedTuple):
    """A shard, the indexes of its planned samples, and the numbering of its images."""

    shard: Shard
    indexes: set[int]
    numbering: Numbering


def read_planned(
    file: Any, task: FileTask, bitmaps: Sequence[Bitmap], id_from: str, first_id: str
) -> PlannedShard:
    """Read the headers of a shard, and check the IDs of its planned samples.

    Args:
        file: The shard, opened as a binary file that can seek.
        task: The shard, as it was planned.
        bitmaps: The planned samples by their index.
        id_from: Where the IDs are, as for `find_ids`.
        first_id: NeMo Curator's first ID in the shard; empty for other IDs.

    Raises:
        FileRefusedError: The shard was changed, or has other IDs than the planned ones.

    *Cost:* the headers; for IDs in JSON also these members of planned samples.
    """
    shard = group_samples(read_layout(file, task.size_bytes, task.source))
    if len(shard.samples) != task.num_rows:
        raise FileRefusedError("changed", f"shard {task.source!r} was changed")
    is_planned = rows_to_remove(bitmaps, task.num_rows).to_pylist()
    indexes = {index for index, is_in in enumerate(is_planned) if is_in}
    numbering = _numbering_of(shard.samples, first_id)
    ids = find_ids(file, task.source, _chosen(shard, indexes), id_from, numbering)
    _check_ids(task.source, ids, bitmaps)
    return PlannedShard(shard, indexes, numbering)


def _numbering_of(samples: Sequence[Sample], first_id: str) -> Numbering:
    """Find the numbering of a shard by the first ID in it."""
    prefix, _, number = first_id.rpartition("_")
    own = next((sample.curator_numbers[0] for sample in samples if sample.curator_numbers), 0)
    return Numbering(prefix, int(number) - own if number else 0)


def _chosen(shard: Shard, indexes: set[int]) -> list[Sample]:
    return [shard.samples[index] for index in sorted(indexes)]


def _check_ids(source: str, ids: Iterator[str | None], bitmaps: Sequence[Bitmap]) -> None:
    """Compare the IDs of the planned samples with the plan, by the sums of their CRC-32."""
    planned = [part.checksum for part in bitmaps if part.checksum is not None]
    if planned and sum(zlib.crc32((one or "").encode()) for one in ids) != sum(planned):
        raise FileRefusedError(
            "ids",
            f"shard {source!r} has samples with other IDs than the plan: it was changed. Nothing "
            "was published. Run again.",
        )
