"""A part of a file, of which slices are read, and no more than these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

# Reads from a place of a file: so many bytes, fewer at its end.
ReadAt = Callable[[int, int], bytes]
# A context in which so many bytes of memory are taken.
Hold = Callable[[int], AbstractContextManager[None]]
# Whatever bytes that are not what they should be may lead to.
_DAMAGE = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


class UnreadValueError(ValueError):
    """Values can't be read one by one; the message is a reason, without a full stop."""


@contextmanager
def damage_is_a_reason() -> Iterator[None]:
    """Turn whatever a damaged file leads to into an UnreadValueError."""
    try:
        yield
    except UnreadValueError:
        raise
    except _DAMAGE as error:
        words = f"{type(error).__name__}: {error}"
        raise UnreadValueError(f"its file is damaged ({words})") from error


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
        """Return a part of it.

        Raises:
            UnreadValueError: It is none.
        """
        if not 0 <= place <= place + num_bytes <= self.num_bytes:
            raise UnreadValueError("its file is damaged: a part of it is not within it")
        return FileSlice(self._read_at, self._place + place, num_bytes)
