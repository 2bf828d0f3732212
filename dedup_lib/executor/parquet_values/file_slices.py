"""Parts of a file that are read only on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

# Reads a number of bytes from an offset; fewer at the end of the file.
ReadAt = Callable[[int, int], bytes]
# Returns a context during which this many bytes of memory are reserved.
Hold = Callable[[int], AbstractContextManager[None]]
# The errors that wrong bytes may cause.
_DAMAGE = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


class UnreadValueError(ValueError):
    """Values can't be read one by one. The message is a reason, without a full stop."""


@contextmanager
def explain_damage() -> Iterator[None]:
    """Turn any error that a damaged file may cause into an UnreadValueError."""
    try:
        yield
    except UnreadValueError:
        raise
    except _DAMAGE as error:
        words = f"{type(error).__name__}: {error}"
        raise UnreadValueError(f"its file is damaged ({words})") from error


class FileSlice:
    """A run of bytes of a file.

    Attributes:
        num_bytes: The length in bytes.
    """

    def __init__(self, read_at: ReadAt, offset: int, num_bytes: int) -> None:
        self._read_at = read_at
        self._offset = offset
        self.num_bytes = num_bytes

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Return bytes from an offset within the slice; fewer at its end."""
        num_bytes = min(num_bytes, self.num_bytes - offset)
        return self._read_at(self._offset + offset, num_bytes) if num_bytes > 0 else b""

    def part(self, offset: int, num_bytes: int) -> FileSlice:
        """Return a part of the slice.

        Raises:
            UnreadValueError: The part is not within the slice.
        """
        if not 0 <= offset <= offset + num_bytes <= self.num_bytes:
            raise UnreadValueError("its file is damaged: an offset in it is outside of the file")
        return FileSlice(self._read_at, self._offset + offset, num_bytes)


def slice_of_bytes(data: bytes) -> FileSlice:
    """Return bytes in memory as a slice."""
    return FileSlice(lambda offset, num_bytes: data[offset : offset + num_bytes], 0, len(data))
