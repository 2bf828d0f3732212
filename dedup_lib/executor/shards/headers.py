"""Find the members of a tar shard by its headers alone, and refuse a shard that has a fault."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dedup_lib.executor.shards.header_blocks import (
    BLOCK_BYTES,
    Header,
    Place,
    changed,
    parse_header,
    parse_records,
    text_of,
)
from dedup_lib.executor.shards.members import ByteRange, Layout, Member
from dedup_lib.executor.shards.usual_headers import UsualHeaders
from dedup_lib.executor.stores import FileRefusedError
from dedup_lib.executor.worker import without_gc

_PIECE_BYTES = 1024**2
# Real ones have less than 10 KB. Without a limit a broken size would fill the memory.
_MOST_EXTENDED_BYTES = 1024**2
_MOST_EXPECTED_BYTES = 4 * BLOCK_BYTES
_EXTENDED = frozenset("xXLK")
_WITHOUT_DATA = frozenset("123456")
END_BYTES = 2 * BLOCK_BYTES
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
}


class _Shard:
    """A shard that is read: the open file, its size, and its URI.

    A member's headers are read at once: as many bytes as those of the member before it.
    """

    def __init__(self, file: Any, size_bytes: int, source: str) -> None:
        self.size_bytes, self.source = size_bytes, source
        self.expected_bytes = BLOCK_BYTES
        self._read_at = reader_of(file)
        self._start, self._read = 0, b""

    def place(self, offset: int) -> Place:
        return Place(self.source, offset)

    def read(self, offset: int, num_bytes: int) -> bytes:
        first = offset - self._start
        if not 0 <= first <= len(self._read) - num_bytes:
            wanted = max(num_bytes, min(self.expected_bytes, self.size_bytes - offset))
            self._start, self._read, first = offset, self._read_at(wanted, offset), 0
            if len(self._read) != wanted:
                raise changed(self.source)
        return self._read[first : first + num_bytes]

    def read_usual(self, usual: UsualHeaders, offset: int, members: list[Member]) -> int:
        """Add members whose headers are of the usual form to a list; return the offset after them.

        What was read there is kept.
        """
        self._start, self._read = usual.read(
            self._read_at, self.expected_bytes, offset, self.size_bytes, members
        )
        return self._start


def reader_of(file: Any) -> Callable[[int, int], bytes]:
    """Return a function that reads at an offset: a number of bytes, and the offset."""
    if hasattr(file, "read_at"):  # of pyarrow: half the time of two calls
        read_at: Callable[[int, int], bytes] = file.read_at
        return read_at

    def seek_and_read(num_bytes: int, offset: int) -> bytes:
        file.seek(offset)
        data: bytes = file.read(num_bytes)
        return data

    return seek_and_read


class _Headers(NamedTuple):
    """A member's own header, its offset, its PAX records, and its GNU names (`L`, `K`)."""

    header: Header
    position: int
    records: Mapping[str, str]
    gnu_names: Mapping[str, str]


@without_gc
def read_layout(file: Any, size_bytes: int, source: str) -> Layout:
    """Find the members of a tar shard: v7, ustar, GNU or PAX, not compressed.

    Args:
        file: The shard, opened as a binary file that can seek. It should have no buffer, because
            a buffer reads more than the headers.
        size_bytes: The size of the shard.
        source: The URI of the shard, for messages.

    Raises:
        FileRefusedError: The shard is compressed, cut, or broken in another way, or other bytes
            than zeros follow its end. The message has the offset in bytes.

    *Cost:* 512 bytes are read for a plain member, 1,536 for a member with a PAX header or a long
    GNU name, and the zeros at the end. Each member is a separate read.
    """
    shard = _Shard(file, size_bytes, source)
    if size_bytes == 0:
        raise shard.place(0).refusal("the file is empty; an empty shard has zero blocks")
    members: list[Member] = []
    global_headers: list[ByteRange] = []
    defaults: dict[str, str] = {}
    position, usual = 0, UsualHeaders()
    while position < size_bytes:
        if not defaults:
            position = shard.read_usual(usual, position, members)
            if position == size_bytes:
                break
        header = _read_header(shard, position)
        if header is None:
            _check_zeros(shard, position)
            break
        if header.kind == "g":
            defaults |= parse_records(
                _read_extended(shard, position, header), shard.place(position)
            )
            global_headers.append(ByteRange(position, _end_of(position, header)))
            position = global_headers[-1].end
        else:
            members.append(_read_member(shard, position, header, defaults))
            position = members[-1].end
    has_end = size_bytes - position >= END_BYTES
    return Layout(source, tuple(members), tuple(global_headers), has_end)


def _read_header(shard: _Shard, position: int) -> Header | None:
    """Read a header; None for a zero block."""
    place = shard.place(position)
    num_bytes = min(BLOCK_BYTES, shard.size_bytes - position)
    block = shard.read(position, num_bytes)
    try:
        if num_bytes < BLOCK_BYTES:
            raise place.refusal(
                f"the last {num_bytes} bytes are less than a block of {BLOCK_BYTES} bytes"
            )
        return parse_header(block, place) if any(block) else None
    except FileRefusedError:
        if position == 0:
            _refuse_compressed(block, shard.source)
        raise


def _refuse_compressed(block: bytes, source: str) -> None:
    for magic, name in _COMPRESSIONS.items():
        if block.startswith(magic):
            raise FileRefusedError(
                "shard", f"shard {source!r} is compressed with {name}: decompress it first"
            )


def _read_extended(shard: _Shard, position: int, header: Header) -> bytes:
    """Read the data of an extended header."""
    if header.size_bytes > _MOST_EXTENDED_BYTES:
        raise shard.place(position).refusal(
            f"an extended header has {header.size_bytes} bytes (at most {_MOST_EXTENDED_BYTES})"
        )
    _check_inside(shard, position, _end_of(position, header))
    return shard.read(position + BLOCK_BYTES, header.size_bytes)


def _end_of(position: int, header: Header) -> int:
    return position + BLOCK_BYTES + _padded(header.size_bytes)


def _padded(num_bytes: int) -> int:
    return -(-num_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _check_inside(shard: _Shard, start: int, end: int) -> None:
    if end > shard.size_bytes:
        raise shard.place(start).refusal(
            f"the member needs the bytes up to {end}, but the shard ends at {shard.size_bytes}"
        )


def _read_member(shard: _Shard, start: int, header: Header, defaults: Mapping[str, str]) -> Member:
    """Read the headers of a member.

    Args:
        shard: The shard.
        start: The offset of the member's first header.
        header: That header.
        defaults: The records of the global headers before it.
    """
    said = _read_headers(shard, start, header)
    records, header = {**defaults, **said.records}, said.header
    data_start = said.position + BLOCK_BYTES
    if header.is_continued:
        data_start = _skip_sparse_map(shard, start, data_start)
    # An empty record of a member takes back the record of a global header.
    pax_name = records.get("GNU.sparse.name") or records.get("path")
    plain_name = said.gnu_names.get("L", header.name)
    name = pax_name or plain_name
    data_bytes = _data_bytes(header, name, records.get("size"), shard.place(start))
    end = data_start + _padded(data_bytes)
    _check_inside(shard, start, end)
    link_name = records.get("linkpath") or said.gnu_names.get("K", header.link_name)
    headers_bytes = data_start - start
    shard.expected_bytes = min(headers_bytes, _MOST_EXPECTED_BYTES)
    return Member(
        start=start,
        data_start=data_start,
        data_bytes=data_bytes,
        end=end,
        name=name,
        kind=header.kind,
        link_name=link_name if header.kind in "12" else "",
        plain_name=plain_name,
        headers_crc=zlib.crc32(shard.read(start, headers_bytes)),
        is_sparse=header.kind == "S" or any(key.startswith("GNU.sparse.") for key in records),
    )


def _read_headers(shard: _Shard, position: int, header: Header) -> _Headers:
    """Read the extended headers of a member, of which the first is given, and its own header."""
    start = position
    records: dict[str, str] = {}
    gnu_names: dict[str, str] = {}
    while header.kind in _EXTENDED:
        data = _read_extended(shard, position, header)
        if header.kind in "xX":
            records |= parse_records(data, shard.place(position))
        else:
            gnu_names[header.kind] = text_of(data)
        position = _end_of(position, header)
        header = _read_next(shard, start, position)
    return _Headers(header, position, records, gnu_names)


def _read_next(shard: _Shard, start: int, position: int) -> Header:
    """Read the header that must follow an extended header."""
    header = _read_header(shard, position) if position < shard.size_bytes else None
    if header is None:
        raise shard.place(start).refusal("no member follows the extended header")
    if header.kind == "g":
        raise shard.place(position).refusal("a global header lies between a member's headers")
    return header


def _skip_sparse_map(shard: _Shard, start: int, position: int) -> int:
    """Return the offset after the blocks that continue a sparse file's map."""
    is_continued = True
    while is_continued:
        _check_inside(shard, start, position + BLOCK_BYTES)
        is_continued = shard.read(position, BLOCK_BYTES)[504] != 0
        position += BLOCK_BYTES
    return position


def _data_bytes(header: Header, name: str, pax_size: str | None, place: Place) -> int:
    """Return the number of data bytes that follow a member's header.

    Links and directories have no data, whatever size they note, as tarfile reads them. If other
    writers do store data there, the next block is no header.
    """
    if header.kind in _WITHOUT_DATA or (header.kind == "\0" and name.endswith("/")):
        return 0
    if not pax_size:
        return header.size_bytes
    if not (pax_size.isascii() and pax_size.isdigit() and len(pax_size) < 20):
        raise place.refusal("the PAX header has no valid size")
    return int(pax_size)


def _check_zeros(shard: _Shard, first_zero: int) -> None:
    """Refuse a shard that has other bytes than zeros after its first zero block."""
    position = first_zero + BLOCK_BYTES
    while position < shard.size_bytes:
        piece = shard.read(position, min(_PIECE_BYTES, shard.size_bytes - position))
        rest = piece.lstrip(b"\0")
        if rest:
            raise shard.place(position + len(piece) - len(rest)).refusal(
                f"other bytes follow the zero block at byte {first_zero}. Most readers stop at "
                "that block. Two shards that were joined by cat look so"
            )
        position += len(piece)
