"""Find the shards of a directory, and check their names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from dedup_lib.errors import TableFormatError
from dedup_lib.executor.shards.compressed import SHARD_SUFFIXES
from dedup_lib.locations import name_of
from dedup_lib.session.storage import FileInfo, Storage
from dedup_lib.tables.directory import is_marker
from dedup_lib.tables.foreign import TAR_SUFFIXES
from dedup_lib.tables.layout.partitions import relative_parts
from dedup_lib.tables.manifest import read_manifest

_SHOWN = 5
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
        TableFormatError: There is no shard, or one in an unknown compression or a hidden directory.
    """
    shards: list[FileInfo] = []
    others: list[FileInfo] = []
    for file in storage.list_files(location):
        if file.path.lower().endswith(TAR_SUFFIXES):
            shards.append(file)
        elif not is_marker(file):
            others.append(file)
    if not shards:
        raise TableFormatError(f"image table {location!r} has no shard: no file ends in '.tar'.")
    for file in shards:
        if not file.path.lower().endswith(SHARD_SUFFIXES):
            raise TableFormatError(
                f"image table {location!r} holds {file.path!r}, whose compression is not known "
                "here, only gzip and zstd: decompress it first. Images are compressed already."
            )
        if any(part.startswith(("_", ".")) for part in relative_parts(location, file)):
            raise TableFormatError(
                f"image table {location!r} holds {file.path!r}, whose path has a part that begins "
                "with '_' or '.': move it away, or finish the write that left it."
            )
    shards.sort(key=lambda file: file.path)
    return FoundShards(shards, others)


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


def check_positions(storage: Storage, location: str, shards: Sequence[FileInfo]) -> None:
    """Refuse shards for which positions are no IDs: two of one name, or those that a run wrote.

    Raises:
        TableFormatError: They are such shards.
    """
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
