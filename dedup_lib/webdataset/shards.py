"""Find the shards of a directory, and check their names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from dedup_lib.errors import TableFormatError
from dedup_lib.executor.shards.compressed import SHARD_SUFFIXES
from dedup_lib.executor.shards.metadata_files import metadata_path
from dedup_lib.locations import name_of
from dedup_lib.session.storage import FileInfo, Storage
from dedup_lib.tables.directory import is_marker
from dedup_lib.tables.foreign import TAR_SUFFIXES
from dedup_lib.tables.layout.partitions import relative_parts
from dedup_lib.tables.manifest import read_manifest

_SHOWN = 5
_OWN = "webdataset"
_log = logging.getLogger(__name__)


class FoundShards(NamedTuple):
    """The shards of a directory, and the files beside them.

    Attributes:
        shards: The shards, in the order of their paths.
        metadata: The Parquet files that have the names of shards: img2dataset's metadata.
        others: All other files.
    """

    shards: Sequence[FileInfo]
    metadata: Sequence[FileInfo]
    others: Sequence[FileInfo]


def find_shards(storage: Storage, location: str) -> FoundShards:
    """List the shards of a directory, or return the shard if the location is one.

    Args:
        storage: The session's file systems.
        location: A canonical location.

    Raises:
        TableFormatError: There is no shard, or one in an unknown compression or a hidden directory;
            or two shards have the same metadata file.
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
    if shards[0].path == location:  # the metadata file is not below it
        others = _file_at(storage, metadata_path(location))
    metadata = _metadata_of(location, shards, others)
    known = {file.path for file in metadata}
    return FoundShards(shards, metadata, [file for file in others if file.path not in known])


def _file_at(storage: Storage, location: str) -> list[FileInfo]:
    is_file = storage.exists(location) and not storage.is_directory(location)
    return list(storage.list_files(location)) if is_file else []


def _metadata_of(
    location: str, shards: Sequence[FileInfo], others: Sequence[FileInfo]
) -> list[FileInfo]:
    owners: dict[str, list[str]] = {}
    for file in shards:
        owners.setdefault(metadata_path(file.path), []).append(file.path)
    metadata = [file for file in others if file.path in owners]
    for file in metadata:
        if len(owners[file.path]) > 1:
            raise TableFormatError(
                f"image table {location!r} holds {file.path!r}, and several shards of its name: "
                f"{owners[file.path]}. Move it away, or rename the shards."
            )
    return sorted(metadata, key=lambda file: file.path)


def warn_of_others(others: Sequence[FileInfo]) -> None:
    """Name the files beside the shards that are not copied, with the command that makes them anew.

    They describe the old shards, and readers would not notice.
    """
    by_command: dict[str, list[str]] = {}
    for file in others:
        by_command.setdefault(_command_for(file.path), []).append(file.path)
    for command, paths in by_command.items():
        _log.warning(
            "%d files beside the shards are not copied: they describe samples that may go%s: %s",
            len(paths),
            f"; {command} makes them anew" if command else "",
            paths[:_SHOWN],
        )


def _command_for(path: str) -> str:
    """Return the command that makes an index of shards; empty for other files."""
    name = name_of(path)
    if name.endswith(".tar.idx") or "/.nv-meta/" in path:
        return "energon prepare DIRECTORY"
    if name.endswith(".idx"):
        return "wds2idx SHARD.tar SHARD.idx"
    return "widsindex create *.tar --output index.json" if name == "index.json" else ""


def check_positions(storage: Storage, location: str, shards: Sequence[FileInfo]) -> None:
    """Refuse shards for which positions are no IDs: two of one name, or those with removed samples.

    Shards that a run made of a table had no other positions before.

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
    note = read_manifest(storage, location)
    if note and note.get("inputs", {}).get("images", {}).get("format", _OWN) == _OWN:
        raise TableFormatError(
            f"image table {location!r} was written by this job from other shards: the positions "
            "that NeMo Curator counts are those of the shards before. Use those, with all lists in "
            "one run; or make the lists from the new shards, at another location."
        )
