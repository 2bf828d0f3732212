"""The tasks on shards: copy the IDs of their samples, and write them without some samples."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor import new_file
from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.id_files import (
    encode_path,
    make_directory,
    named_when_finished,
    write_rows,
)
from dedup_lib.executor.kept_rows import Bitmap, rows_to_remove
from dedup_lib.executor.new_file import OpenFile
from dedup_lib.executor.shards.headers import END_BYTES, read_layout
from dedup_lib.executor.shards.json_ids import read_json_id
from dedup_lib.executor.shards.rewrite import extract_samples, read_back, remove_samples
from dedup_lib.executor.shards.samples import Sample, Shard, group_samples
from dedup_lib.executor.stores import FileRefusedError, StoreFile, open_store, renames_in_one_step

JSON_PREFIX = "json:"
CURATOR = "curator"
_READ_AHEAD_BYTES = 4 * 1024**2


class ShardIds(NamedTuple):
    """What one pass over the headers finds out about a shard.

    Attributes:
        num_rows: The number of samples.
        num_nulls: The number of samples without an ID.
        id_bytes: The bytes of the IDs.
        num_others: The members that belong to no sample. They always stay.
        num_torn: The samples with members of other samples between their own.
        has_end: Whether the shard has the two zero blocks at its end.
        refused: Why the shard can't be read; None if it can.
    """

    num_rows: int
    num_nulls: int
    id_bytes: int
    num_others: int
    num_torn: int
    has_end: bool
    refused: str | None = None


class ShardSources(NamedTuple):
    """Shards below a directory (a URI), where their IDs are, and the columns to copy."""

    directory: str
    files: Sequence[SourceFile]
    id_from: str
    columns: Sequence[str]


def copy_ids(
    sources: ShardSources, target: str, name: str, options: Mapping[str, str]
) -> list[ShardIds]:
    """Copy the IDs of samples, with each sample's shard and index, to a Parquet file.

    Args:
        sources: The shards.
        target: The URI of a directory. `rows/NAME.parquet` is the file to write: `image_id`,
            `value_1`, … for other columns, `file_path`, `row_index`, one row per sample.
        name: A name that no other task has.
        options: Options for pyarrow's file systems, except the local one.

    Returns:
        One entry per shard. Nothing is written if one of them is refused.

    *Cost:* the headers of all members; for an ID in JSON also these members. In an object store
    they are read in pieces of 4 MB, with what lies between.
    """
    found: list[ShardIds] = []
    batches = []
    for file in sources.files:
        try:
            facts, batch = _read(sources, file, options)
            batches.append(batch)
        except (FileRefusedError, OSError) as error:
            facts = ShardIds(0, 0, 0, 0, 0, has_end=True, refused=str(error))
        found.append(facts)
    if not any(facts.refused for facts in found):
        store, top = open_store(target, options)
        make_directory(store, top)
        with named_when_finished(store, f"{top}/rows", f"{name}.parquet") as sink:
            write_rows(sink, batches)
    return found


def count_samples(
    directory: str, files: Sequence[SourceFile], options: Mapping[str, str]
) -> list[ShardIds]:
    """Count the samples of written shards by their headers; no ID is read.

    Args:
        directory: The URI of a directory above the shards.
        files: The shards.
        options: Options for pyarrow's file systems, except the local one.

    Returns:
        One entry per shard. Only `num_rows` and `refused` say something.
    """
    found = []
    for source in files:
        uri, num_samples, refused = f"{directory}/{source.path}", 0, None
        try:
            store, path = open_store(uri, options)
            with (
                store.open_input_file(path) as opened,
                _ahead(opened, is_remote=not renames_in_one_step(store)) as file,
            ):
                num_samples = len(group_samples(read_layout(file, opened.size(), uri)).samples)
        except (FileRefusedError, OSError) as error:
            refused = str(error)
        found.append(ShardIds(num_samples, 0, 0, 0, 0, has_end=True, refused=refused))
    return found


@contextlib.contextmanager
def _ahead(file: Any, *, is_remote: bool) -> Iterator[Any]:
    """Read headers ahead in an object store, where a request takes as long as some megabytes."""
    if not is_remote:
        yield file
        return
    buffered = io.BufferedReader(file, _READ_AHEAD_BYTES)
    try:
        yield buffered
    finally:
        buffered.detach()


def _read(
    sources: ShardSources, source: SourceFile, options: Mapping[str, str]
) -> tuple[ShardIds, Any]:
    import pyarrow as pa

    uri = f"{sources.directory}/{source.path}"
    store, path = open_store(uri, options)
    with store.open_input_file(path) as opened:
        if opened.size() != source.size_bytes:
            raise FileRefusedError("changed", f"shard {uri!r} was changed")
        with _ahead(opened, is_remote=not renames_in_one_step(store)) as file:
            shard = group_samples(read_layout(file, source.size_bytes, uri))
            ids = list(find_ids(file, uri, shard.samples, sources.id_from))
    num_rows = len(ids)
    values = {
        "image_id": ids,
        "__key__": [_text(sample.key) for sample in shard.samples],
        "__url__": [uri] * num_rows,
    }
    chosen = [pa.array(values[column], pa.string()) for column in sources.columns]
    names = ["image_id", *(f"value_{index}" for index in range(1, len(chosen)))]
    columns = dict(zip(names, chosen, strict=True))
    columns["file_path"] = pa.array([encode_path(uri)] * num_rows, pa.string())
    columns["row_index"] = pa.array(range(num_rows), pa.int64())
    facts = ShardIds(
        num_rows=num_rows,
        num_nulls=ids.count(None),
        id_bytes=sum(len(one.encode()) for one in ids if one is not None),
        num_others=shard.num_without_key + shard.num_disputed,
        num_torn=sum(sample.is_torn for sample in shard.samples),
        has_end=shard.layout.has_end,
    )
    return facts, pa.RecordBatch.from_pydict(columns)


def find_ids(
    file: Any, source: str, samples: Sequence[Sample], id_from: str
) -> Iterator[str | None]:
    """Yield the ID of each sample; None if it has no ID, or one that is no UTF-8.

    Args:
        file: The shard, opened as a binary file that can seek.
        source: The URI of the shard.
        samples: The samples.
        id_from: `key`, `json:FIELD`, or `curator`.

    Raises:
        FileRefusedError: Curator's numbers do not name the samples without doubt.
    """
    stem = source.rpartition("/")[2].rpartition(".")[0]
    for sample in samples:
        if id_from.startswith(JSON_PREFIX):
            yield read_json_id(file, sample, id_from.removeprefix(JSON_PREFIX))
        elif id_from == CURATOR:
            yield _curator_id(source, stem, sample)
        else:
            yield _text(sample.key)


def _curator_id(source: str, stem: str, sample: Sample) -> str | None:
    numbers = sample.curator_numbers
    if any(member.is_sparse for member in sample.members):
        raise _doubtful(source, sample, "is sparse")
    if len(numbers) > 1 or (numbers and sample.is_torn):
        raise _doubtful(source, sample, "has members that lie apart")
    return _text(f"{stem}_{numbers[0]:06d}") if numbers else None


def _doubtful(source: str, sample: Sample, reason: str) -> FileRefusedError:
    return FileRefusedError(
        "shard",
        f"shard {source!r} has the sample {sample.key!r}, which {reason}: NeMo Curator's numbers "
        "do not name its samples without doubt. Use the keys (--image-id-from key)",
    )


def _text(key: str) -> str | None:
    try:
        return key.encode().decode()
    except UnicodeEncodeError:
        return None


def rewrite_shard(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
) -> Rewritten:
    """Write a shard without the planned samples, or only these; see `new_file.rewrite`.

    Args:
        task: The shard.
        bitmaps: The planned samples by their index; None if there is none.
        options: Options for pyarrow's file systems, except the local one.
        selection: The action, and where the IDs are, as for `find_ids`.

    Raises:
        FileRefusedError: The shard was changed, has other IDs than the planned ones, or a link
            would lose its target.

    *Cost:* what stays is read and written in pieces of 8 MB; the headers are read twice. A shard
    that loses nothing is copied, unless it lacks the zero blocks at its end.
    """
    if not bitmaps and selection.action == "remove" and not _has_end(task, options):
        bitmaps = [Bitmap(0, b"")]  # no row goes, but the shard is written anew, with an end
    return new_file.rewrite(task, bitmaps, options, selection, _write_samples)


def _has_end(task: FileTask, options: Mapping[str, str]) -> bool:
    """Tell from its last bytes whether a shard has an end; if its data are zeros, it may not."""
    store, path = open_store(task.source, options)
    with store.open_input_file(path) as file:
        file.seek(max(0, task.size_bytes - END_BYTES))
        return not any(file.read(END_BYTES))


def _write_samples(
    stream: OpenFile,
    target: StoreFile,
    task: FileTask,
    bitmaps: Sequence[Bitmap],
    selection: RowSelection,
) -> int:
    with _ahead(stream.file, is_remote=stream.is_remote) as file:
        shard = group_samples(read_layout(file, task.size_bytes, task.source))
        if len(shard.samples) != task.num_rows:
            raise FileRefusedError("changed", f"shard {task.source!r} was changed")
        is_removed = rows_to_remove(bitmaps, task.num_rows).to_pylist()
        removed = {index for index, is_out in enumerate(is_removed) if is_out}
        _check_ids(file, shard, removed, bitmaps, selection.id_column)
    write = extract_samples if selection.action == "extract" else remove_samples
    with target.store.open_output_stream(target.path) as sink:
        written = write(stream.file, shard, removed, sink)
    _check_written(target, shard, removed, selection.action)
    return written.num_samples


def _check_ids(
    file: Any, shard: Shard, removed: set[int], bitmaps: Sequence[Bitmap], id_from: str
) -> None:
    """Compare the IDs of the planned samples with the plan, by the sums of their CRC-32."""
    planned = [part.checksum for part in bitmaps if part.checksum is not None]
    samples = [shard.samples[index] for index in sorted(removed)]
    ids = find_ids(file, shard.layout.source, samples, id_from)
    found = [zlib.crc32((one or "").encode()) for one in ids]
    if planned and sum(found) != sum(planned):
        raise FileRefusedError(
            "ids",
            f"shard {shard.layout.source!r} has samples with other IDs than the plan: it was "
            "changed. Nothing was published. Run again.",
        )


def _check_written(target: StoreFile, shard: Shard, removed: set[int], action: str) -> None:
    """Read the headers of the new shard, and compare its samples with those that must be there."""
    keeps_removed = action == "extract"
    expected = {
        sample.key: tuple(member.data_bytes for member in sample.members)
        for index, sample in enumerate(shard.samples)
        if (index in removed) == keeps_removed
    }
    with target.store.open_input_file(target.path) as new:
        if read_back(new, new.size(), target.path) != expected:
            raise RuntimeError(f"{target.path!r} has other samples than were written")
