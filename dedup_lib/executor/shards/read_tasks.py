"""Read the samples of shards, and copy their IDs, in a task on an executor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from dedup_lib.executor.file_task import FileTask, Rewritten, RowSelection
from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.id_files import (
    encode_path,
    make_directory,
    named_when_finished,
    write_rows,
)
from dedup_lib.executor.kept_rows import Bitmap, rows_to_remove
from dedup_lib.executor.shards.compressed import OpenShard, open_shard
from dedup_lib.executor.shards.header_blocks import changed
from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.shards.marks import is_marked, why_unmarkable
from dedup_lib.executor.shards.pictures import PICTURE_COLUMNS, note_members
from dedup_lib.executor.shards.rewrite import check_links
from dedup_lib.executor.shards.sample_ids import (
    Numbering,
    find_ids,
    group_size,
    is_by_position,
    prefix_of,
    text_of_key,
)
from dedup_lib.executor.shards.samples import group_samples
from dedup_lib.executor.shards.table_columns import find_columns
from dedup_lib.executor.stores import FileRefusedError, open_store, renames_in_one_step


class ShardFacts(NamedTuple):
    """What one pass over the headers finds out about a shard.

    Attributes:
        num_rows: The number of samples.
        num_nulls: The number of samples without an ID.
        id_bytes: The bytes of the IDs.
        num_others: The members that belong to no sample. They always stay.
        num_torn: The samples with members of other samples between their own.
        num_equal: The samples with two members of one name.
        has_links: Whether there are hard or symbolic links.
        has_end: Whether the shard has the two zero blocks at its end.
        kind: The kind of the refusal, as `FileRefusedError` says.
        refused: Why the shard can't be read; None if it can.
        suffixes: The suffixes of its samples, as for `find_columns`, if the output is a table.
        unfit: Why a table can't hold all that is in the shard; None if it can, or is not asked.
        unmarkable: Why a sample can't get a mark (`marks.why_unmarkable`); None if all can, or no
            mark is asked for.
    """

    num_rows: int = 0
    num_nulls: int = 0
    id_bytes: int = 0
    num_others: int = 0
    num_torn: int = 0
    num_equal: int = 0
    has_links: bool = False
    has_end: bool = True
    kind: str = ""
    refused: str | None = None
    suffixes: Sequence[str] = ()
    unfit: str | None = None
    unmarkable: str | None = None


class ShardSources(NamedTuple):
    """Shards to read, and what to find out about them.

    Attributes:
        directory: The URI of a directory above the shards.
        files: The shards.
        id_from: Where their IDs are, as for `find_ids`.
        columns: The columns to copy.
        action: What the run does: only `annotate` needs to know whether samples can get marks.
        is_for_table: Whether the shards become a table, which needs their suffixes.
    """

    directory: str
    files: Sequence[SourceFile]
    id_from: str
    columns: Sequence[str]
    action: str
    is_for_table: bool


def copy_ids(
    sources: ShardSources, target: str, name: str, options: Mapping[str, str]
) -> list[ShardFacts]:
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
    they are read in pieces of 4 MB, with what lies between. Compressed shards are decompressed.
    """
    found, batches = _read_all(sources, options)
    if not any(facts.refused for facts in found):
        store, top = open_store(target, options)
        make_directory(store, top)
        with named_when_finished(store, f"{top}/rows", f"{name}.parquet") as sink:
            write_rows(sink, batches)
    return found


def list_ids(
    sources: ShardSources, options: Mapping[str, str]
) -> tuple[list[ShardFacts], list[tuple[Any, ...]]]:
    """Return what `copy_ids` returns, and the rows that it would write."""
    found, batches = _read_all(sources, options)
    return found, [
        row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)
    ]


def _read_all(
    sources: ShardSources, options: Mapping[str, str]
) -> tuple[list[ShardFacts], list[Any]]:
    """Read the samples of all shards: one entry and one batch of rows per shard."""
    found: list[ShardFacts] = []
    batches = []
    each = group_size(sources.id_from)
    for start in range(0, len(sources.files), each):
        group = sources.files[start : start + each]
        numbering = Numbering(prefix_of(group), 0)
        for file in group:
            try:
                facts, batch, num_images = _read(sources, file, options, numbering)
                batches.append(batch)
                numbering = Numbering(numbering.prefix, numbering.first + num_images)
            except (FileRefusedError, FileNotFoundError) as error:
                facts = _refused(error)
            found.append(facts)
    return found, batches


def count_samples(
    directory: str,
    files: Sequence[SourceFile],
    options: Mapping[str, str],
    *,
    only_marked: bool = False,
) -> list[ShardFacts]:
    """Count the samples of written shards by their headers; no ID is read.

    Args:
        directory: The URI of a directory above the shards.
        files: The shards.
        options: Options for pyarrow's file systems, except the local one.
        only_marked: Whether to count only samples that are marked as duplicates. Marks are read.

    Returns:
        One entry per shard. Only `num_rows` and `refused` say something.
    """
    found = []
    for source in files:
        uri = f"{directory}/{source.path}"
        try:
            store, path = open_store(uri, options)
            with (
                store.open_input_file(path) as opened,
                _open(store, opened, uri) as shard,
            ):
                samples = group_samples(read_layout(shard.file, shard.size_bytes, uri)).samples
                counted = [one for one in samples if not only_marked or is_marked(shard.file, one)]
            found.append(ShardFacts(len(counted)))
        except (FileRefusedError, FileNotFoundError) as error:
            found.append(_refused(error))
    return found


def _refused(error: FileRefusedError | FileNotFoundError) -> ShardFacts:
    kind = error.kind if isinstance(error, FileRefusedError) else "changed"
    return ShardFacts(kind=kind, refused=str(error))


def _open(store: Any, file: Any, uri: str) -> AbstractContextManager[OpenShard]:
    return open_shard(file, file.size(), uri, is_remote=not renames_in_one_step(store))


@contextlib.contextmanager
def _opened(uri: str, size_bytes: int, options: Mapping[str, str]) -> Iterator[OpenShard]:
    """Open a shard of a known size, to read its headers."""
    store, path = open_store(uri, options)
    with store.open_input_file(path) as opened:
        if opened.size() != size_bytes:
            raise changed(uri)
        with _open(store, opened, uri) as plain:
            yield plain


def check_links_of(
    task: FileTask,
    bitmaps: Sequence[Bitmap] | None,
    options: Mapping[str, str],
    selection: RowSelection,
) -> Rewritten:
    """Check by the headers of a shard that no link would lose its target; nothing is written.

    The arguments are those of `rewrite_tasks.rewrite_shard`.

    Raises:
        FileRefusedError: A link would stay without its target, or the shard was changed.
    """
    try:
        with _opened(task.source, task.size_bytes, options) as plain:
            shard = group_samples(read_layout(plain.file, plain.size_bytes, task.source))
    except FileNotFoundError as error:
        raise changed(task.source) from error
    if len(shard.samples) != task.num_rows:
        raise changed(task.source)
    is_planned = rows_to_remove(bitmaps or (), task.num_rows).to_pylist()
    is_extract = selection.action == "extract"
    stays = [
        (index is not None and is_planned[index]) is is_extract for index in shard.sample_indexes
    ]
    check_links(shard.layout, stays)
    return Rewritten(0, 0, is_copy=False)


def _read(
    sources: ShardSources, source: SourceFile, options: Mapping[str, str], numbering: Numbering
) -> tuple[ShardFacts, Any, int]:
    """Read a shard; return its facts, the rows of its samples, and the number of its images."""
    import pyarrow as pa

    uri = f"{sources.directory}/{source.path}"
    with _opened(uri, source.size_bytes, options) as plain:
        if plain.compression is not None and is_by_position(sources.id_from):
            raise FileRefusedError(
                "shard",
                f"shard {uri!r} is compressed with {plain.compression}: NeMo Curator does not "
                "read it, so its numbers are of other shards. Use the keys (--image-id-from key)",
            )
        shard = group_samples(read_layout(plain.file, plain.size_bytes, uri))
        found = find_ids(
            plain.file, uri, shard.samples, sources.id_from, numbering, options=options
        )
        ids = list(found)
    num_rows = len(ids)
    values = {
        "image_id": ids,
        "__key__": [text_of_key(sample.key) for sample in shard.samples],
        "__url__": [uri] * num_rows,
    }
    if PICTURE_COLUMNS[0] in sources.columns:
        values |= note_members(shard.samples, is_plain=plain.compression is None)
    chosen = [pa.array(values[column], pa.string()) for column in sources.columns]
    names = ["image_id", *(f"value_{index}" for index in range(1, len(chosen)))]
    columns = dict(zip(names, chosen, strict=True))
    columns["file_path"] = pa.array([encode_path(uri)] * num_rows, pa.string())
    columns["row_index"] = pa.array(range(num_rows), pa.int64())
    suffixes, unfit = find_columns(shard) if sources.is_for_table else ([], None)
    facts = ShardFacts(
        num_rows=num_rows,
        num_nulls=ids.count(None),
        id_bytes=sum(len(one.encode()) for one in ids if one is not None),
        num_others=shard.num_without_key + shard.num_disputed,
        num_torn=sum(sample.is_torn for sample in shard.samples),
        num_equal=sum(sample.has_equal_names for sample in shard.samples),
        has_links=any(member.link_name for member in shard.layout.members),
        has_end=shard.layout.has_end,
        suffixes=suffixes,
        unfit=unfit,
        unmarkable=why_unmarkable(shard.samples) if sources.action == "annotate" else None,
    )
    return facts, pa.RecordBatch.from_pydict(columns), shard.num_curator_images
