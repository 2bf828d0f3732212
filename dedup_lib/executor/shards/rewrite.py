"""Write a shard without some samples, or these only, or marked; what stays keeps its bytes."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from dedup_lib.executor.shards.header_blocks import BLOCK_BYTES
from dedup_lib.executor.shards.headers import END_BYTES, reader_of
from dedup_lib.executor.shards.marks import NewMember, make_marks, why_unmarkable
from dedup_lib.executor.shards.members import ByteRange, Layout, Member
from dedup_lib.executor.shards.pieces import PIECE_BYTES, Pieces
from dedup_lib.executor.shards.samples import Shard
from dedup_lib.executor.stores import FileRefusedError
from dedup_lib.executor.worker import without_gc

# A request to an object store takes its time.
_REMOTE_PIECE_BYTES = 8 * 1024**2
_RECORD_BYTES = 20 * BLOCK_BYTES
_Part = Member | ByteRange | NewMember


class WrittenHeaders(NamedTuple):
    """The headers of a written member: where they are, how long, and their CRC-32.

    Those of a new member include its data.
    """

    start: int
    num_bytes: int
    crc: int


class WrittenShard(NamedTuple):
    """What a new shard holds.

    Attributes:
        num_samples: The number of its samples.
        num_members: The number of its members, those without a key too.
        headers: The headers of its members, in order.
        end: The offset after its last member.
        written_bytes: Its size.
    """

    num_samples: int
    num_members: int
    headers: tuple[WrittenHeaders, ...]
    end: int
    written_bytes: int


def remove_samples(
    file: Any, shard: Shard, removed: Collection[int], sink: Any, *, is_remote: bool = False
) -> WrittenShard:
    """Write a shard without some samples. Members that belong to no sample stay.

    Args:
        file: The shard, opened as a binary file that can seek.
        shard: Its samples.
        removed: The indexes of the samples to leave out; a set is fast.
        sink: The stream to write to.
        is_remote: Whether each read is a request to an object store.

    Raises:
        FileRefusedError: A link would lose its target, or the shard became shorter. Links are
            checked before anything is written.

    *Cost:* what stays is read and written in pieces of 256 KB; from an object store, 8 MB are read
    at once.
    """
    stays = [index not in removed for index in shard.sample_indexes]
    return _write(file, shard, stays, sink, is_remote=is_remote)


def extract_samples(
    file: Any, shard: Shard, removed: Collection[int], sink: Any, *, is_remote: bool = False
) -> WrittenShard:
    """Write the samples that `remove_samples` leaves out, and the global headers, and no more.

    Arguments, errors and cost are those of `remove_samples`.
    """
    stays = [index in removed for index in shard.sample_indexes]
    return _write(file, shard, stays, sink, is_remote=is_remote)


def annotate_samples(
    file: Any,
    shard: Shard,
    removed: Collection[int],
    sink: Any,
    keepers: Mapping[int, Any],
) -> WrittenShard:
    """Write a whole shard, and in each sample a new member that says whether it is in `removed`.

    Args:
        file: The shard, as for `remove_samples`.
        shard: Its samples.
        removed: The indexes of the duplicates.
        sink: The stream to write to.
        keepers: The ID of the kept image as bytes, by the index of the duplicate.

    Raises:
        FileRefusedError: A sample can't get a mark, or the shard became shorter. Marks are checked
            before anything is written.

    *Memory:* about 1 KB for each sample, besides the layout.
    """
    if (reason := why_unmarkable(shard.samples)) is not None:
        raise FileRefusedError("shard", f"shard {shard.layout.source!r}: {reason}")
    marks = list(make_marks(shard.samples, removed, keepers))
    stays = [True] * len(shard.layout.members)
    # Ranges between marks are short: `file` reads ahead in an object store.
    return _write(file, shard, stays, sink, marks, is_remote=False)


def check_written(file: Any, size_bytes: int, source: str, expected: WrittenShard) -> None:
    """Read the headers of a written shard, and compare them with those of the first shard.

    They are read where the members must begin. If all are the same, and zeros follow the last
    member, the new shard has just these members, with data of these sizes.

    Args:
        file: The new shard, opened as a binary file that can seek.
        size_bytes: Its size.
        source: Its URI, for messages.
        expected: What was written.

    Raises:
        FileRefusedError: The shard has other headers, another size or another end.

    *Cost:* the headers, and the zeros at the end; each member is a separate read.
    """
    read_at = reader_of(file)
    is_same = size_bytes == expected.written_bytes
    for start, num_bytes, crc in expected.headers if is_same else ():
        if crc32(read_at(num_bytes, start)) != crc:
            is_same = False
            break
    if not is_same or any(read_at(size_bytes - expected.end, expected.end)):
        raise FileRefusedError("shard", f"shard {source!r} has other members than were written")


def end_of(num_bytes: int) -> bytes:
    """Return the zeros that end a shard whose members have so many bytes."""
    return bytes(END_BYTES + -(num_bytes + END_BYTES) % _RECORD_BYTES)


@without_gc
def _write(
    file: Any,
    shard: Shard,
    stays: Sequence[bool],
    sink: Any,
    added: Sequence[NewMember] = (),
    *,
    is_remote: bool,
) -> WrittenShard:
    """Write the members that stay, and new ones.

    Args:
        file: The shard.
        shard: Its samples.
        stays: For each member, whether it stays.
        sink: The stream to write to.
        added: New members. Each goes before all that begins at the same byte.
        is_remote: Whether each read is a request to an object store.
    """
    members = [member for member, stay in zip(shard.layout.members, stays, strict=True) if stay]
    check_links(shard.layout, stays)
    parts: list[_Part] = [*added, *members, *shard.layout.global_headers]
    parts.sort(key=lambda part: part.start)
    target = Pieces(sink, _REMOTE_PIECE_BYTES if is_remote else PIECE_BYTES)
    for part in _merge(parts):
        if isinstance(part, NewMember):
            target.add(part.content)
        else:
            target.copy(file, part, shard.layout.source)
    headers = tuple(_headers_of(parts))
    num_bytes = sum(map(_num_bytes, parts))
    end = end_of(num_bytes)
    target.add(end)
    target.flush()
    kept = {index for index, stay in zip(shard.sample_indexes, stays, strict=True) if stay}
    return WrittenShard(
        num_samples=len(kept - {None}),
        num_members=len(members) + len(added),
        headers=headers,
        end=num_bytes,
        written_bytes=num_bytes + len(end),
    )


def _num_bytes(part: _Part) -> int:
    return len(part.content) if isinstance(part, NewMember) else part.end - part.start


def _headers_of(parts: Sequence[_Part]) -> Iterator[WrittenHeaders]:
    """Yield where the headers of members are in the new shard."""
    start = 0
    for part in parts:
        if isinstance(part, Member):
            yield WrittenHeaders(start, part.data_start - part.start, part.headers_crc)
            start += part.end - part.start
            continue
        if isinstance(part, NewMember):
            yield WrittenHeaders(start, len(part.content), crc32(part.content))
        start += _num_bytes(part)


def check_links(layout: Layout, stays: Sequence[bool]) -> None:
    """Refuse a link that stays if its target is left out.

    Args:
        layout: The members of a shard.
        stays: For each member, whether it stays.

    Raises:
        FileRefusedError: There is such a link.
    """
    members = zip(layout.members, stays, strict=True)
    links = [member for member, stay in members if stay and member.is_link]
    if not links:
        return
    left_out = {
        posixpath.normpath(member.name): member.name
        for member, stay in zip(layout.members, stays, strict=True)
        if not stay
    }
    for link in links:
        if (target := left_out.get(_target_of(link))) is not None:
            raise FileRefusedError(
                "shard",
                f"shard {layout.source!r} has the link {link.name!r} to {target!r} at byte "
                f"{link.start}: the link would stay, but its target would go. Remove or keep both",
            )


def _target_of(link: Member) -> str:
    """Return the name of a link's target; a symbolic link starts in its own directory."""
    start = posixpath.dirname(link.name) if link.kind == "2" else ""
    return posixpath.normpath(posixpath.join(start, link.link_name))


def _merge(parts: Sequence[_Part]) -> Iterator[ByteRange | NewMember]:
    """Yield the bytes of members and headers, in order: the longest ranges between new members."""
    start = end = 0
    for part in parts:
        is_new = isinstance(part, NewMember)
        if is_new or part.start != end:
            if start < end:
                yield ByteRange(start, end)
            start = end = part.start
        if isinstance(part, NewMember):
            yield part
        else:
            end = part.end
    if start < end:
        yield ByteRange(start, end)
