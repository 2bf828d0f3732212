"""Write a shard in full pieces: the kernel's time for short and for very long writes is longer."""

from __future__ import annotations

from typing import Any

from dedup_lib.executor.shards.header_blocks import changed
from dedup_lib.executor.shards.members import ByteRange

# For larger writes the kernel takes up to three times as long, if its free memory is in parts.
PIECE_BYTES = 256 * 1024


class Pieces:
    """Gathers short ranges in one buffer, and writes only full pieces.

    Such pieces begin at a page of the new file. If each range is written, or copied by
    `copy_file_range`, the kernel takes longer, with ranges of 170 KB a fifth.

    Args:
        sink: The stream to write to. It must not keep what it gets, because the buffer is reused.
        num_bytes: The size of the buffer.
    """

    def __init__(self, sink: Any, num_bytes: int) -> None:
        self._sink, self._buffer, self._filled = sink, memoryview(bytearray(num_bytes)), 0

    def copy(self, file: Any, part: ByteRange, source: str) -> None:
        """Copy a range of a shard."""
        file.seek(part.start)
        left = part.end - part.start
        while left:
            num_bytes = file.readinto(self._buffer[self._filled : self._filled + left])
            if not num_bytes:
                raise changed(source)
            left -= num_bytes
            self._fill(num_bytes)

    def add(self, content: bytes) -> None:
        """Write bytes."""
        while content:
            room = self._buffer[self._filled : self._filled + len(content)]
            room[:] = content[: len(room)]
            content = content[len(room) :]
            self._fill(len(room))

    def flush(self) -> None:
        """Write what is left in the buffer."""
        for start in range(0, self._filled, PIECE_BYTES):
            self._sink.write(self._buffer[start : min(start + PIECE_BYTES, self._filled)])
        self._filled = 0

    def _fill(self, num_bytes: int) -> None:
        self._filled += num_bytes
        if self._filled == len(self._buffer):
            self.flush()
