"""Limits for reading pictures: bytes, time and memory, shared by many threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dedup_lib.executor.parquet_values import UnreadValueError
from dedup_lib.executor.parquet_values.file_slices import ReadAt


@dataclass(frozen=True)
class Bounds:
    """Limits for reading, drawing and memory.

    Attributes:
        most_bytes: The maximum number of bytes to read.
        most_seconds: The time after which nothing more is read or drawn.
        drawn_at_once: The number of images drawn at the same time.
        readers: The number of row groups read at the same time; mostly they wait for a store.
        held_bytes: The memory for encoded images until they are drawn. Pages and footers get the
            same amount in addition.
    """

    most_bytes: int = 4 * 1024**3
    most_seconds: float = 90.0
    drawn_at_once: int = 2
    readers: int = 32
    held_bytes: int = 256 * 1024**2


class Meter:
    """Counts the bytes read and the time.

    Attributes:
        read_bytes: The number of bytes read so far.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.read_bytes = 0
        self._most_bytes = bounds.most_bytes
        self._ends = time.monotonic() + bounds.most_seconds
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._ends

    def end(self) -> None:
        """Stop all further reading and drawing."""
        self._ends = 0.0

    def check_time(self) -> None:
        """Check that there is time left.

        Raises:
            UnreadValueError: The time is over.
        """
        if self.is_over:
            raise UnreadValueError("the time for reading was over")

    def count(self, read_at: ReadAt) -> ReadAt:
        """Wrap a read function: it counts bytes, and stops at the bounds."""

        def read(offset: int, num_bytes: int) -> bytes:
            self._take(num_bytes)
            data = read_at(offset, num_bytes)
            self._take(len(data) - num_bytes)
            return data

        return read

    def _take(self, num_bytes: int) -> None:
        if num_bytes > 0:
            self.check_time()
        with self._lock:
            if self.read_bytes + num_bytes > self._most_bytes:
                raise UnreadValueError(f"{self.read_bytes / 1e9:.1f} GB had been read by then")
            self.read_bytes += num_bytes


class MemoryBudget:
    """Memory that many threads share. A thread waits if it asks for more than is left."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._taken_bytes = 0
        self._changed = threading.Condition()

    def take(self, num_bytes: int) -> None:
        """Wait for free memory; a request above the whole budget waits until all of it is free."""
        with self._changed:
            most = max(self._most_bytes - num_bytes, 0)
            self._changed.wait_for(lambda: self._taken_bytes <= most)
            self._taken_bytes += num_bytes

    def give_back(self, num_bytes: int) -> None:
        """Return memory to the budget."""
        with self._changed:
            self._taken_bytes -= num_bytes
            self._changed.notify_all()

    @contextmanager
    def hold(self, num_bytes: int) -> Iterator[None]:
        """Take memory during a context; within it, the thread must not take more."""
        self.take(num_bytes)
        try:
            yield
        finally:
            self.give_back(num_bytes)
