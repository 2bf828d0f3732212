"""Find the shards of a directory, and read the IDs of their samples on executors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from dedup_lib.errors import (
    DedupError,
    TableFormatError,
    UnsupportedError,
)
from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.id_files import encode_path
from dedup_lib.executor.shards import read_tasks
from dedup_lib.executor.shards.read_tasks import ShardIds, ShardSources
from dedup_lib.executor.shards.sample_ids import group_size, is_by_position
from dedup_lib.files.rewrite import error_of
from dedup_lib.locations import name_of
from dedup_lib.session import file_tasks
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo, Storage
from dedup_lib.tables.directory import is_marker
from dedup_lib.tables.foreign import TAR_SUFFIXES
from dedup_lib.tables.id_table import CopiedIds, FileRows, IdFacts, WantedIds
from dedup_lib.tables.layout.partitions import relative_parts
from dedup_lib.tables.manifest import read_manifest

COLUMNS = ("image_id", "__key__", "__url__")
_SHOWN = 5
_IDS = (
    "array<struct<num_rows: bigint, num_nulls: bigint, id_bytes: bigint, num_others: bigint, "
    "num_torn: bigint, num_equal: bigint, has_end: boolean, kind: string, refused: string>>"
)
_log = logging.getLogger(__name__)


class FoundShards(NamedTuple):
    """The shards of a directory, in the order of their paths, and the files beside them."""

    shards: Sequence[FileInfo]
    others: Sequence[FileInfo]


def find_shards(storage: Storage, location: str) -> FoundShards:
    """List the shards of a directory, or return the shard if the location is one.

    Args:
        storage: The session's file systems.
        location: A canonical location.

    Raises:
        TableFormatError: There is no shard, or one in a compressed form or a hidden directory.
    """
    files = [file for file in storage.list_files(location) if not is_marker(file)]
    shards = [file for file in files if file.path.lower().endswith(TAR_SUFFIXES)]
    if not shards:
        raise TableFormatError(f"image table {location!r} has no shard: no file ends in '.tar'.")
    for file in shards:
        if not file.path.lower().endswith(".tar"):
            raise TableFormatError(
                f"image table {location!r} holds {file.path!r}, which is compressed: decompress it "
                "first. Images in it are compressed already."
            )
        if any(part.startswith(("_", ".")) for part in relative_parts(location, file)):
            raise TableFormatError(
                f"image table {location!r} holds {file.path!r}, whose path has a part that begins "
                "with '_' or '.': move it away, or finish the write that left it."
            )
    shards.sort(key=lambda file: file.path)
    return FoundShards(shards, [file for file in files if file not in set(shards)])


def warn_of_others(others: Sequence[FileInfo]) -> None:
    """Name the files beside the shards: they describe the old shards, so they are not copied."""
    if others:
        names = [file.path for file in others[:_SHOWN]]
        _log.warning(
            "%d files beside the shards are not copied, because they describe samples that may go: "
            "make them anew (wds2idx, energon prepare, …): %s",
            len(others),
            names,
        )


def read_ids(
    session: Session,
    location: str,
    shards: Sequence[FileInfo],
    wanted: WantedIds,
    columns: Sequence[str],
) -> CopiedIds:
    """Read the IDs of all samples, and copy them to the run's directory.

    Args:
        session: The session, with its file systems.
        location: The location of the image table.
        shards: The shards.
        wanted: Where the IDs are, and where to copy them.
        columns: The columns to copy, of `COLUMNS`.

    Raises:
        UnsupportedError: The run has no directory that executors can write to, or a Python task
            failed there.
        InputChangedError: A shard was changed since it was listed.
        UnreadableFileError: A shard is broken; the message has its path and the byte.

    *Cost:* executors read the headers of all members, one shard after another in a task.
    """
    target = wanted.make_directory()
    if target is None:
        raise UnsupportedError(
            f"image table {location!r}: a dry run on a cluster has no directory for the IDs of the "
            "samples. Plan shards on one machine (--master 'local[*]'), or run without --dry-run."
        )
    if is_by_position(wanted.id_from):
        _check_positions(session.storage, location, shards)
    directory = file_tasks.common_directory(shards)
    parts = [
        file_tasks.below(directory, part) for part in _divide(shards, group_size(wanted.id_from))
    ]
    options, id_from = dict(session.storage.pyarrow_options), wanted.id_from

    def copy_part(number: int, part: list[SourceFile]) -> list[ShardIds]:
        sources = ShardSources(directory, part, id_from, columns)
        return read_tasks.copy_ids(sources, target, f"{number:05d}", options)

    found = _ask(session, parts, copy_part, location)
    _warn(shards, found)
    facts = IdFacts(
        columns=tuple(columns),
        has_all=wanted.has_all,
        files=tuple(
            FileRows(
                file_path=encode_path(file.path),
                size_bytes=file.size_bytes,
                modified_ms=file.modified_ms,
                num_rows=one.num_rows,
                num_nulls=one.num_nulls,
                id_bytes=one.id_bytes,
            )
            for file, one in zip(shards, found, strict=True)
        ),
    )
    return CopiedIds(target, len(parts), facts)


def _divide(shards: Sequence[FileInfo], each: int) -> list[list[FileInfo]]:
    """Divide shards into parts for a task each; those that NeMo Curator read together stay so."""
    groups = [list(shards[start : start + each]) for start in range(0, len(shards), each)]
    by_first = {}
    for group in groups:
        size = sum(file.size_bytes for file in group)
        by_first[replace(group[0], size_bytes=size)] = group
    parts = file_tasks.divide(list(by_first))
    return [[file for first in part for file in by_first[first]] for part in parts]


def _check_positions(storage: Storage, location: str, shards: Sequence[FileInfo]) -> None:
    """Refuse shards for which positions are no IDs: two of one name, or those that a run wrote."""
    by_name: dict[str, str] = {}
    for file in shards:
        other = by_name.setdefault(name_of(file.path), file.path)
        if other != file.path:
            raise TableFormatError(
                f"image table {location!r} has two shards of one name, {other!r} and "
                f"{file.path!r}: NeMo Curator gives both the same IDs."
            )
    if read_manifest(storage, location):
        raise TableFormatError(
            f"image table {location!r} was written by this job: the positions that NeMo Curator "
            "counts are those of the shards before. Use those, with all lists in one run; or make "
            "the lists from the new shards, at another location."
        )


def count_samples(session: Session, shards: Sequence[FileInfo]) -> int:
    """Count the samples of written shards, by their headers.

    Raises:
        UnreadableFileError: A shard is broken.
    """
    directory = file_tasks.common_directory(shards)
    parts = [file_tasks.below(directory, part) for part in file_tasks.divide(shards)]
    options = dict(session.storage.pyarrow_options)

    def count_part(_: int, part: list[SourceFile]) -> list[ShardIds]:
        return read_tasks.count_samples(directory, part, options)

    return sum(one.num_rows for one in _ask(session, parts, count_part, directory))


def _ask(
    session: Session,
    parts: Sequence[list[SourceFile]],
    function: Callable[[int, list[SourceFile]], list[ShardIds]],
    location: str,
) -> list[ShardIds]:
    """Call a function with the shards of each part; raise the first refusal."""

    def failed(reason: str) -> DedupError:
        return UnsupportedError(
            f"shards of {location!r} could not be read by Python tasks on executors, which need "
            f"pyarrow, and access to the store (--storage-option): {reason}"
        )

    answers = file_tasks.for_each_part(session, parts, function, _IDS, what_if_failed=failed)
    found = [ShardIds(*row) for answer in answers for row in answer]
    for one in found:
        if one.refused is not None:
            raise error_of(one.kind, f"{one.refused.rstrip('.')}. Nothing was published.")
    return found


def _warn(shards: Sequence[FileInfo], found: Sequence[ShardIds]) -> None:
    by_fact = {
        "have no zero blocks at their end; a shard that was cut looks the same": [
            file.path for file, one in zip(shards, found, strict=True) if not one.has_end
        ],
        "have a key whose members lie apart; all members of a removed key go": [
            file.path for file, one in zip(shards, found, strict=True) if one.num_torn
        ],
        "have two members of one name, which some readers refuse": [
            file.path for file, one in zip(shards, found, strict=True) if one.num_equal
        ],
        "have members that belong to no sample; they stay": [
            file.path for file, one in zip(shards, found, strict=True) if one.num_others
        ],
    }
    for fact, paths in by_fact.items():
        if paths:
            _log.warning("%d shards %s: %s", len(paths), fact, paths[:_SHOWN])
