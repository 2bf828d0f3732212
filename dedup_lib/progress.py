"""One line in a terminal that tells how far a run is; where there is no terminal, nothing."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dedup_lib.report import Report
from dedup_lib.session.failures import SPARK_ERRORS

_INTERVAL_SECONDS = 0.5


class Stream(Protocol):
    """What text is written to."""

    def write(self, text: str, /) -> object:
        """Write text."""

    def flush(self) -> object:
        """Bring out what was written."""


class Terminal:
    """A stream to a terminal whose last line may be a passing one, which other text erases."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._shown = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write text that stays."""
        with self._lock:
            self._put("", text)

    def show(self, line: str) -> None:
        """Show a line that passes, instead of the one before; an empty one erases that."""
        with self._lock:
            # The cursor goes back at once: what others write covers the line rather than follows.
            self._put(line[: shutil.get_terminal_size().columns - 1], "\r" if line else "")
            self._stream.flush()

    def flush(self) -> None:
        """Bring out what was written."""
        self._stream.flush()

    def _put(self, line: str, text: str) -> None:
        erased = " " * self._shown + "\r" if len(line) < self._shown else ""
        self._shown = len(line)
        self._stream.write(erased + line + text)


@contextmanager
def shown(
    terminal: Terminal, report: Report, tasks: Callable[[], tuple[int, int]]
) -> Iterator[None]:
    """Show, from a thread of its own, where a run is, until it ends.

    Args:
        terminal: Where.
        report: Of the run.
        tasks: Tells how many tasks of Spark are done, and how many there are.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_show, args=(terminal, report, tasks, is_over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        terminal.show("")


def _show(
    terminal: Terminal,
    report: Report,
    tasks: Callable[[], tuple[int, int]],
    is_over: threading.Event,
) -> None:
    place, since = "", time.monotonic()
    # Spark may be gone, or not be there yet: the run itself will tell.
    with contextlib.suppress(*SPARK_ERRORS, OSError):
        while not is_over.wait(_INTERVAL_SECONDS):
            if report.place != place:
                place, since = report.place, time.monotonic()
            done, every = tasks()
            of_tasks = f", {done:,} of {every:,} tasks" if every else ""
            terminal.show(f"{place or 'start'}: {time.monotonic() - since:.0f} s{of_tasks}")
