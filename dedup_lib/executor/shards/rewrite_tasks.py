"""Write a shard without some of its samples, or with marks, in a task on an executor."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dedup_lib.executor import new_file
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.kept_rows import Bitmap, keepers_by_row, rows_to_remove
from dedup_lib.executor.new_file import NewRows, OpenFile
from dedup_lib.executor.shards.compressed import OpenShard, is_compressed, open_shard, open_sink
from dedup_lib.executor.shards.header_blocks import changed
from dedup_lib.executor.shards.headers import END_BYTES, read_layout
from dedup_lib.executor.shards.metadata_files import rewrite_metadata
from dedup_lib.executor.shards.rewrite import (
    annotate_samples,
    check_written,
    extract_samples,
    remove_samples,
)
from dedup_lib.executor.shards.sample_ids import Numbering, find_ids
from dedup_lib.executor.shards.samples import Sample, Shard, group_samples
from dedup_lib.executor.stores import FileRefusedError, StoreFile, open_store

# A shard with this plan keeps all samples, but is written anew, not copied.
NO_SAMPLE_GOES = (Bitmap(0, b""),)


def rewrite_shard(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
    first_ids: Mapping[str, str],
) -> Rewritten:
    """Write a shard without the planned samples, or only these, or all of them with marks.

    See `new_file.rewrite`.

    If there is a metadata file beside the shard, it is written without their rows, or with only
    these; see `rewrite_metadata`.

    Args:
        task: The shard.
        bitmaps: The planned samples by their index; None if no sample is planned.
        options: Options for pyarrow's file systems, except the local one.
        selection: The action, and where the IDs are, as for `find_ids`.
        first_ids: NeMo Curator's first ID in each shard, by its URI, encoded as paths of the plan.

    Raises:
        FileRefusedError: The shard was changed, has other IDs than the planned ones, a link would
            lose its target, or a sample can't get a mark.

    *Cost:* what stays is read and written as `remove_samples` says; the headers are read twice. A
    shard that loses nothing and gets no mark is copied, unless it does not end in zeros. A shard is
    not written if no member of it stays. A compressed shard is decompressed to a temporary file on
    the executor's disk, and so is the new one, to check it. To these comes what `rewrite_metadata`
    says.
    """
    if not bitmaps and selection.action == "remove" and not _has_end(task, options):
        bitmaps = NO_SAMPLE_GOES  # the shard gets an end
    writing = _Writing(first_ids.get(encode_path(task.source), ""), options)
    done = new_file.rewrite(task, bitmaps, options, selection, writing.write)
    if not done.written_bytes:
        return done
    left_out = rewrite_metadata(task, writing.samples, options, selection.action)
    return done._replace(left_out=left_out)


def _has_end(task: FileTask, options: Mapping[str, str]) -> bool:
    """Tell from its last bytes whether a shard has an end; if its data are zeros, it may not.

    A compressed shard is not decompressed to see its end.
    """
    store, path = open_store(task.source, options)
    try:
        with store.open_input_file(path) as file:
            file.seek(max(0, task.size_bytes - END_BYTES))
            return not any(file.read(END_BYTES)) or is_compressed(file)
    except FileNotFoundError:  # the copy will say so
        return True


class _Writing:
    """Writes the samples that stay, and notes the keys of all, and which are planned.

    Args:
        first_id: NeMo Curator's first ID in the shard; empty for other IDs.
        options: Options for pyarrow's file systems, except the local one.
    """

    def __init__(self, first_id: str, options: Mapping[str, str]) -> None:
        self.samples: dict[str, bool] = {}
        self._first_id, self._options = first_id, options

    def write(
        self,
        stream: OpenFile,
        target: StoreFile,
        task: FileTask,
        bitmaps: Sequence[Bitmap],
        selection: RowSelection,
    ) -> NewRows:
        with open_shard(
            stream.file, task.size_bytes, task.source, is_remote=stream.is_remote
        ) as plain:
            planned = read_planned(
                plain, task, bitmaps, selection.id_column, self._first_id, options=self._options
            )
            shard, removed = planned.shard, planned.indexes
            self.samples = {
                sample.key: index in removed for index, sample in enumerate(shard.samples)
            }
            # The ranges that stay are long: reading them ahead is of no use.
            data = stream.file if plain.compression is None else plain.file
            is_remote = stream.is_remote and plain.compression is None
            with open_sink(target, plain.compression) as sink:
                if selection.action == "annotate":  # the ranges between marks are short
                    keepers = keepers_by_row(bitmaps)
                    written = annotate_samples(plain.file, shard, removed, sink, keepers)
                else:
                    write = extract_samples if selection.action == "extract" else remove_samples
                    written = write(data, shard, removed, sink, is_remote=is_remote)
        with (
            target.store.open_input_file(target.path) as opened,
            open_shard(opened, opened.size(), target.path) as new,
        ):
            check_written(new.file, new.size_bytes, target.path, written)
        lost_all = not written.num_members and bool(shard.layout.members)
        return NewRows(written.num_samples, is_empty=lost_all, is_read_anew=True)


class PlannedShard(NamedTuple):
    """A shard, the indexes of its planned samples, and the IDs of these or of all, by index."""

    shard: Shard
    indexes: set[int]
    ids: Mapping[int, str | None]


def read_planned(
    plain: OpenShard,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    id_from: str,
    first_id: str,
    *,
    options: Mapping[str, str],
    needs_all_ids: bool = False,
) -> PlannedShard:
    """Read the headers of a shard, and check the IDs of its planned samples.

    Args:
        plain: The shard.
        task: The shard, as it was planned.
        bitmaps: The planned samples by their index.
        id_from: Where the IDs are, as for `find_ids`.
        first_id: NeMo Curator's first ID in the shard; empty for other IDs.
        options: Options for pyarrow's file systems, except the local one.
        needs_all_ids: Whether to find the IDs of all samples, not only of the planned ones.

    Raises:
        FileRefusedError: The shard was changed, or has other IDs than the planned ones.

    *Cost:* the headers; for IDs in JSON also these members of the samples; for IDs in metadata,
    that file.
    """
    shard = group_samples(read_layout(plain.file, plain.size_bytes, task.source))
    if len(shard.samples) != task.num_rows:
        raise changed(task.source)
    is_planned = rows_to_remove(bitmaps, task.num_rows).to_pylist()
    indexes = {index for index, is_in in enumerate(is_planned) if is_in}
    numbering = _numbering_of(shard.samples, first_id)
    asked = range(task.num_rows) if needs_all_ids else sorted(indexes)
    samples = [shard.samples[index] for index in asked]
    found = find_ids(plain.file, task.source, samples, id_from, numbering, options=options)
    ids = dict(zip(asked, found, strict=True))
    _check_ids(task.source, [ids[index] for index in indexes], bitmaps)
    return PlannedShard(shard, indexes, ids)


def _numbering_of(samples: Sequence[Sample], first_id: str) -> Numbering:
    """Find the numbering of a shard by the first ID in it."""
    prefix, _, number = first_id.rpartition("_")
    own = next((sample.curator_numbers[0] for sample in samples if sample.curator_numbers), 0)
    return Numbering(prefix, int(number) - own if number else 0)


def _check_ids(source: str, ids: Sequence[str | None], bitmaps: Sequence[Bitmap]) -> None:
    """Compare the IDs of the planned samples with the plan, by the sums of their CRC-32."""
    planned = [part.checksum for part in bitmaps if part.checksum is not None]
    if planned and sum(zlib.crc32((one or "").encode()) for one in ids) != sum(planned):
        raise FileRefusedError(
            "ids",
            f"shard {source!r} has samples with other IDs than the plan: it was changed. Nothing "
            "was published. Run again.",
        )
