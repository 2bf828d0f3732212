"""Read one header of a tar file: a block of 512 bytes, and the records of a PAX header."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from dedup_lib.executor.stores import FileRefusedError

BLOCK_BYTES = 512
_SUM_START, _SUM_END = 148, 156
_LINKS = frozenset("12")
_OCTAL = re.compile(rb" *([0-7]*) *")
_RECORD = re.compile(rb"([0-9]{1,7}) ([^=\n]+)=")


class Place(NamedTuple):
    """A place in a shard, for messages.

    Attributes:
        source: The URI of the shard.
        first_byte: The offset in the shard.
    """

    source: str
    first_byte: int

    def refusal(self, reason: str) -> FileRefusedError:
        """Return the error for a fault at this place; the reason is a sentence without a dot."""
        return FileRefusedError(
            "shard", f"shard {self.source!r} is broken at byte {self.first_byte}: {reason}"
        )


def changed(source: str) -> FileRefusedError:
    """Return the error for a shard that was changed since it was planned."""
    return FileRefusedError("changed", f"shard {source!r} was changed")


class Header(NamedTuple):
    r"""What a header block says.

    Attributes:
        kind: The type of the member, as one character; `\0` is also a file.
        name: The name, with the prefix of ustar.
        link_name: The target of a link.
        size_bytes: The number of data bytes.
        is_continued: Whether a block with more of a sparse file's map follows (GNU).
    """

    kind: str
    name: str
    link_name: str
    size_bytes: int
    is_continued: bool


def parse_header(block: bytes, place: Place) -> Header:
    """Return what a header block says.

    Args:
        block: 512 bytes; not all of them are zero.
        place: The place of the block.

    Raises:
        FileRefusedError: The checksum or the size is wrong.
    """
    if not _has_right_sum(block):
        raise place.refusal("the header has a wrong checksum")
    size_bytes = _number(block[124:136])
    if size_bytes is None:
        raise place.refusal("the header has no valid size")
    name, kind = text_of(block[:100]), chr(block[156])
    prefix = text_of(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return Header(
        kind,
        f"{prefix}/{name}" if prefix else name,
        text_of(block[157:257]) if kind in _LINKS else "",
        size_bytes,
        is_continued=kind == "S" and block[482] != 0,
    )


def parse_records(data: bytes, place: Place) -> dict[str, str]:
    """Return the records of a PAX header; of two records with one name the last one holds.

    Raises:
        FileRefusedError: The records are no valid PAX records.
    """
    records, position = {}, 0
    while position < len(data):
        found = _RECORD.match(data, position)
        end = position + int(found[1]) if found else 0
        if found is None or end <= found.end() or data[end - 1 : end] != b"\n":
            raise place.refusal("the PAX header has a record that can't be read")
        records[_decode(found[2])] = _decode(data[found.end() : end - 1])
        position = end
    return records


def text_of(field: bytes) -> str:
    """Return a field's text, which ends at the first zero byte; bytes that are no UTF-8 stay."""
    return _decode(field.partition(b"\0")[0])


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def sum_of(block: bytes) -> int:
    """Return the sum of a block's bytes.

    Adler-32 has the sum and 1 in its low half, modulo 65,521. Half a block never gets there, as
    256 * 255 is 65,280. This takes a quarter of the time of `sum`.
    """
    half = BLOCK_BYTES // 2
    return (zlib.adler32(block[:half]) & 0xFFFF) + (zlib.adler32(block[half:]) & 0xFFFF) - 2


def _has_right_sum(block: bytes) -> bool:
    """Tell whether the checksum is right. Some old writers added the bytes as signed numbers."""
    found = _number(block[_SUM_START:_SUM_END])
    right = sum_of(block) - sum(block[_SUM_START:_SUM_END]) + 8 * ord(" ")
    if found == right:
        return True
    others = block[:_SUM_START] + block[_SUM_END:]
    return found == right - 256 * sum(byte > 127 for byte in others)


def _number(field: bytes) -> int | None:
    """Return a number in octal digits or, after a byte 0x80, in base 256; None for anything else.

    An empty field is 0.
    """
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    found = _OCTAL.fullmatch(field.partition(b"\0")[0])
    return int(found[1] or b"0", 8) if found else None
