"""Read a member's headers in the form that most have, in few steps: Python's cost is per step."""

from __future__ import annotations

import zlib

from dedup_lib.executor.shards.header_blocks import BLOCK_BYTES, Place, parse_header, parse_records
from dedup_lib.executor.shards.members import Member
from dedup_lib.executor.stores import FileRefusedError

_PAX_BYTES = 2 * BLOCK_BYTES
_PAX, _FILE = b"xX", ord("0")
_BLANK_SUM = 8 * ord(" ")  # the checksum's field counts as blanks
_OCTAL, _OCTAL_END, _LINE_FEED = b"01234567", b"\0 ", ord("\n")
_TIMES = frozenset({"mtime", "atime", "ctime"})
# After it are only the prefix of ustar, and times of GNU.
_PREFIX_START = 345
_NO_PREFIX = bytes(BLOCK_BYTES - _PREFIX_START)
_adler32, _crc32 = zlib.adler32, zlib.crc32
_new_tuple = tuple.__new__


class UsualHeaders:
    """Reads headers of the usual form; it knows the last PAX header, which writers often repeat."""

    def __init__(self) -> None:
        self._pax_block, self._one_time = b"", b""
        self._records_bytes = 0

    def member(self, data: bytes, start: int, size_bytes: int) -> Member | None:
        """Return a member; None if its headers are of another form, or have a fault.

        The member is a file with a short name in ASCII. It may have a PAX header with times only,
        of at most one block. The result is the same as that of the general code.

        Args:
            data: The bytes of the shard at `start`.
            start: The offset of the member.
            size_bytes: The size of the shard.
        """
        if len(data) < BLOCK_BYTES:
            return None
        headers_bytes, own = BLOCK_BYTES, data
        if data[156] in _PAX:
            if not self._has_only_times(data):
                return None
            headers_bytes += _PAX_BYTES
            own = data[_PAX_BYTES:]
        if len(own) != BLOCK_BYTES:
            own = own[:BLOCK_BYTES]
        digits = own[124:135]
        if (
            own[156] != _FILE
            or own[135] not in _OCTAL_END
            or digits.strip(_OCTAL)
            or not own.endswith(_NO_PREFIX)
            or not own.isascii()
        ):
            return None
        # Adler-32 has the sum of the bytes and 1 in its low half, modulo 65,521. Bytes of ASCII
        # are less than 128, so a block of them never gets there. `sum` takes six times as long.
        added = _adler32(own[156:_PREFIX_START], _adler32(own[:148])) & 0xFFFF
        if own[148:156] != b"%06o\0 " % (added - 1 + _BLANK_SUM):
            return None
        data_bytes = int(digits, 8)
        data_start = start + headers_bytes
        end = data_start + (data_bytes + BLOCK_BYTES - 1 & -BLOCK_BYTES)
        if end > size_bytes:
            return None
        name = own[:100].partition(b"\0")[0].decode("ascii")
        crc = _crc32(data if len(data) == headers_bytes else data[:headers_bytes])
        # In the order of the fields: this is six times as fast as keywords.
        values = (start, data_start, data_bytes, end, name, "0", "", name, crc, False)
        return _new_tuple(Member, values)

    def _has_only_times(self, data: bytes) -> bool:
        """Tell whether a PAX header of at most one block has records of times only."""
        if len(data) < _PAX_BYTES + BLOCK_BYTES:
            return False
        try:
            if not data.startswith(self._pax_block) or not self._pax_block:
                self._parse_pax_block(data[:BLOCK_BYTES])
            if not 0 < self._records_bytes <= BLOCK_BYTES:  # it has no data, or several blocks
                return False
            end = BLOCK_BYTES + self._records_bytes
            if data.startswith(self._one_time, BLOCK_BYTES) and data[end - 1] == _LINE_FEED:
                return True
            return parse_records(data[BLOCK_BYTES:end], Place("", 0)).keys() <= _TIMES
        except FileRefusedError:
            return False

    def _parse_pax_block(self, block: bytes) -> None:
        self._records_bytes = parse_header(block, Place("", 0)).size_bytes
        self._one_time = b"%d mtime=" % self._records_bytes
        self._pax_block = block
