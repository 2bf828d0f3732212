"""A part of a file, of which slices are read, and no more than these."""

from __future__ import annotations

from collections.abc import Callable

# Reads from a place of a file: so many bytes, fewer at its end.
ReadAt = Callable[[int, int], bytes]


class FileSlice:
    """Some bytes of a file.

    Attributes:
        num_bytes: How many there are.
    """

    def __init__(self, read_at: ReadAt, place: int, num_bytes: int) -> None:
        self._read_at = read_at
        self._place = place
        self.num_bytes = num_bytes

    def read(self, place: int, num_bytes: int) -> bytes:
        """Return some bytes; fewer at the end."""
        num_bytes = min(num_bytes, self.num_bytes - place)
        return self._read_at(self._place + place, num_bytes) if num_bytes > 0 else b""

    def part(self, place: int, num_bytes: int) -> FileSlice:
        """Return a part of it."""
        return FileSlice(self._read_at, self._place + place, num_bytes)
