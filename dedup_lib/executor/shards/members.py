"""The members of a tar shard, and where their bytes lie."""

from __future__ import annotations

from typing import NamedTuple


class ByteRange(NamedTuple):
    """Bytes of a shard, from `start` to the byte before `end`."""

    start: int
    end: int


class Member(NamedTuple):
    r"""A member of a shard. Its bytes are its extended headers, its header, its data and padding.

    Attributes:
        start: The offset of its first byte.
        data_start: The offset of its data.
        data_bytes: The number of data bytes; 0 for links and directories.
        end: The offset after its padding.
        name: The name for all readers that know PAX; bytes that are no UTF-8 are surrogates.
        kind: The type in its header, as one character; `\0` is also a file.
        link_name: The target, if it is a link; otherwise empty.
        plain_name: The name for readers that pass over PAX records, as DALI does.
        headers_crc: The CRC-32 of all bytes before its data.
        is_sparse: Whether its data are stored without their holes.
    """

    start: int
    data_start: int
    data_bytes: int
    end: int
    name: str
    kind: str
    link_name: str
    plain_name: str
    headers_crc: int
    is_sparse: bool

    @property
    def is_link(self) -> bool:
        """Whether it is a hard or a symbolic link."""
        return self.kind in {"1", "2"}

    @property
    def is_file(self) -> bool:
        """Whether it is a file with data; old writers mark a directory by its name only."""
        return self.kind in {"0", "\0", "7", "S"} and not self.name.endswith("/")


class Layout(NamedTuple):
    """The members of a shard, and what else its bytes are.

    Attributes:
        source: The URI of the shard.
        members: The members, in order.
        global_headers: The global PAX headers, in order; they belong to no member.
        has_end: Whether the shard has the two zero blocks that end it. Without them it is
            readable, but a shard that was cut between two members looks the same.
    """

    source: str
    members: tuple[Member, ...]
    global_headers: tuple[ByteRange, ...]
    has_end: bool
