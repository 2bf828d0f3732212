"""Read a member's headers in the form that most have, in few steps: Python's cost is per step."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

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
# Name, digits of the size, the byte after these, checksum, and kind.
_FIELDS = "100s24x11sB12x8sB"
_adler32, _crc32 = zlib.adler32, zlib.crc32
_new_tuple = tuple.__new__


class UsualHeaders:
    """Reads headers of the usual form; it knows the last PAX header, which writers often repeat."""

    def __init__(self) -> None:
        self._pax_block = bytes(BLOCK_BYTES)  # as no PAX header is
        self._one_time, self._records_end = b"", BLOCK_BYTES

    def read(
        self,
        read_at: Callable[[int, int], bytes],
        num_bytes: int,
        start: int,
        size_bytes: int,
        found: list[Member],
    ) -> tuple[int, bytes]:
        """Add members to a list, up to one whose headers are of another form, or have a fault.

        A usual member is a file with a short name in ASCII. It may have a PAX header with times
        only, of at most one block. The result is the same as that of the general code.

        Args:
            read_at: Reads a number of bytes at an offset.
            num_bytes: The number of bytes to read for each member.
            start: The offset of the first member.
            size_bytes: The size of the shard.
            found: Members are added here.

        Returns:
            The offset after the last usual member, and what was read there.
        """
        data, fields_of = b"", struct.Struct(_FIELDS).unpack_from
        while start < size_bytes:
            data = read_at(num_bytes, start)
            if len(data) < BLOCK_BYTES:
                break
            headers_bytes, own = BLOCK_BYTES, data
            if data[156] in _PAX:
                has_one_time = (
                    len(data) >= _PAX_BYTES + BLOCK_BYTES
                    and data.startswith(self._pax_block)
                    and data.startswith(self._one_time, BLOCK_BYTES)
                    and data[self._records_end - 1] == _LINE_FEED
                )
                if not has_one_time and not self._has_only_times(data):
                    break
                headers_bytes += _PAX_BYTES
                own = data[_PAX_BYTES:]
            if len(own) != BLOCK_BYTES:
                own = own[:BLOCK_BYTES]
            name, digits, digits_end, noted_sum, kind = fields_of(own)
            if (
                kind != _FILE
                or digits_end not in _OCTAL_END
                or digits.strip(_OCTAL)
                or not own.endswith(_NO_PREFIX)
                or not own.isascii()
            ):
                break
            # Adler-32 has the sum of the bytes and 1 in its low half, modulo 65,521. Bytes of ASCII
            # are less than 128, so a block of them never gets there. `sum` takes six times as long.
            added = _adler32(own[156:_PREFIX_START], _adler32(own[:148])) & 0xFFFF
            if noted_sum != b"%06o\0 " % (added - 1 + _BLANK_SUM):
                break
            data_bytes = int(digits, 8)
            data_start = start + headers_bytes
            end = data_start + (data_bytes + BLOCK_BYTES - 1 & -BLOCK_BYTES)
            if end > size_bytes:
                break
            text = name.partition(b"\0")[0].decode("ascii")
            crc = _crc32(data if len(data) == headers_bytes else data[:headers_bytes])
            # In the order of the fields: this is six times as fast as keywords.
            values = (start, data_start, data_bytes, end, text, "0", "", text, crc, False)
            found.append(_new_tuple(Member, values))
            start = end
        return start, data

    def _has_only_times(self, data: bytes) -> bool:
        """Tell whether a PAX header of at most one block has records of times only."""
        if len(data) < _PAX_BYTES + BLOCK_BYTES:
            return False
        try:
            if not data.startswith(self._pax_block):
                records_bytes = parse_header(data[:BLOCK_BYTES], Place("", 0)).size_bytes
                if not 0 < records_bytes <= BLOCK_BYTES:  # it has no data, or several blocks
                    return False
                self._pax_block = data[:BLOCK_BYTES]
                self._one_time = b"%d mtime=" % records_bytes
                self._records_end = BLOCK_BYTES + records_bytes
            records = data[BLOCK_BYTES : self._records_end]
            return parse_records(records, Place("", 0)).keys() <= _TIMES
        except FileRefusedError:
            return False
