"""Write samples as a new shard, and read its headers again."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from dedup_lib.executor.shards.header_blocks import BLOCK_BYTES
from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.shards.packing.sample_rows import RowSample
from dedup_lib.executor.shards.rewrite import end_of
from dedup_lib.executor.shards.samples import group_samples
from dedup_lib.executor.stores import FileRefusedError


class RowsFile(NamedTuple):
    """A file whose rows become samples.

    Attributes:
        source: Its name in messages.
        number: Its number among the files of the table, from 0.
        has_keys: Whether the table has a column of keys.
    """

    source: str
    number: int
    has_keys: bool


class PackedShard(NamedTuple):
    """What a new shard must hold.

    Attributes:
        num_samples: The number of its samples.
        num_by_position: How many of them have a key by position.
        members: Name and number of bytes of each member, in order.
    """

    num_samples: int
    num_by_position: int
    members: list[tuple[str, int]]


def write_shard(samples: Iterable[RowSample], sink: Any, file: RowsFile) -> PackedShard:
    """Write samples as a shard. The same samples give the same bytes.

    If the table has no keys, a sample without a key, or with one that the shard already has, gets
    one by position: `row-00003-000000017` for row 17 of file 3, both from 0.

    Args:
        samples: The samples.
        sink: The stream to write to.
        file: The file that has their rows.

    Raises:
        FileRefusedError: Two samples would have one key, or two members of a sample one name.

    *Memory:* some 200 bytes for each member, and one sample.
    """
    members: list[tuple[str, int]] = []
    keys: set[str] = set()
    num_by_position = num_bytes = 0
    for sample in samples:
        key = sample.key
        if key is None or (key in keys and not file.has_keys):
            key = f"row-{file.number:05d}-{sample.row_index:09d}"
            num_by_position += 1
        _check_names(sample, key, keys, file.source)
        keys.add(key)
        for suffix, data in sample.members:
            members.append((f"{key}.{suffix}", len(data)))
            for part in (_header_of(*members[-1]), data, bytes(-len(data) % BLOCK_BYTES)):
                sink.write(part)
                num_bytes += len(part)
    sink.write(end_of(num_bytes))
    return PackedShard(len(keys), num_by_position, members)


def check_packed(file: Any, size_bytes: int, source: str, expected: PackedShard) -> None:
    """Read the headers of a new shard, as a reader does, and compare them with what was written.

    Args:
        file: The new shard, opened as a binary file that can seek.
        size_bytes: Its size.
        source: Its URI, for messages.
        expected: What was written.

    Raises:
        FileRefusedError: It has other members or samples, or no end.
    """
    layout = read_layout(file, size_bytes, source)
    found = [(member.name, member.data_bytes) for member in layout.members]
    num_samples = len(group_samples(layout).samples)
    if not layout.has_end or found != expected.members or num_samples != expected.num_samples:
        raise FileRefusedError("shard", f"shard {source!r} has other members than were written")


def _check_names(sample: RowSample, key: str, keys: Collection[str], source: str) -> None:
    row = f"file {source!r}, row {sample.row_index} (ID {sample.image_id!r})"
    if key in keys:
        raise FileRefusedError(
            "keys",
            f"{row}: another row of the same shard has the key {key!r}, so readers would take both "
            "for one sample. Make the keys of each file different, or leave out the column __key__",
        )
    suffixes = [suffix.lower() for suffix, _ in sample.members]
    if len(set(suffixes)) < len(suffixes):
        raise FileRefusedError(
            "keys", f"{row}: two members would have one suffix ({suffixes}). Rename a column"
        )


def _header_of(name: str, num_bytes: int) -> bytes:
    """Return the headers of a member: plain if its name fits; else GNU's, as DALI reads no PAX."""
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError:  # the name is too long
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
