"""Standard error: the log without secrets, and in a terminal a last line that shows progress."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from dedup_lib.redaction import one_record, redact
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.progress import Progress
from dedup_lib.session.spark_session import count_tasks
from dedup_lib.session.start import is_under_spark_submit, java_of_spark_submit

_INTERVAL_SECONDS = 0.5
_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console")
# These loggers write each failed query to stderr with its secrets. Our log has what matters.
_LOGGERS_OF_PYSPARK = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_log = logging.getLogger("dedup_lib")


def log_to_stderr(level: str, secrets: Sequence[str] = ()) -> None:
    """Send this library's log to standard error, or change how it is sent there.

    Args:
        level: The lowest level to log, such as `INFO`.
        secrets: Values to hide everywhere.
    """
    if not _log.handlers:
        _log.addHandler(logging.StreamHandler(_open_stderr()))
        _log.propagate = False
    for name in _LOGGERS_OF_PYSPARK:
        PySparkLogger.getLogger(name).disabled = True
    for handler in _log.handlers:
        handler.setFormatter(RedactingFormatter(secrets))
    _log.setLevel(level)


@contextmanager
def show_progress(spark: SparkSession, progress: Progress) -> Iterator[None]:
    """Show the progress of a run from another thread, if the log goes to a terminal.

    Args:
        spark: The session.
        progress: The progress of the run.
    """
    with contextlib.ExitStack() as showing:
        for terminal in _find_terminals():
            tasks = showing.enter_context(count_tasks(spark))
            showing.enter_context(_show_from_thread(terminal, progress, tasks))
        yield


class RedactingFormatter(logging.Formatter):
    """A log format without secrets and without characters that control a terminal."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record: one line, and `| ` before each further line."""
        return one_record(redact(super().format(record), self._secrets))


class Stream(Protocol):
    """A stream that takes text."""

    def write(self, text: str, /) -> object:
        """Write text."""

    def flush(self) -> object:
        """Bring the written text out."""


class Terminal:
    """A stream to a terminal with a temporary last line, which the next text erases."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._shown = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write text that stays."""
        with self._lock:
            self._put("", text)

    def show(self, line: str) -> None:
        """Show a temporary line, which replaces the previous one. An empty line erases it."""
        with self._lock:
            # The cursor goes back immediately, so that text of other writers covers the line.
            self._put(line[: shutil.get_terminal_size().columns - 1], "\r" if line else "")
            self._stream.flush()

    def flush(self) -> None:
        """Bring the written text out."""
        self._stream.flush()

    def _put(self, line: str, text: str) -> None:
        erased = " " * self._shown + "\r" if len(line) < self._shown else ""
        self._shown = len(line)
        self._stream.write(erased + line + text)


class _JvmStderr:
    """The standard error of spark-submit's Java process.

    spark-submit merges the standard error of its Python process into its standard output, where
    only the report belongs.
    """

    def __init__(self) -> None:
        self._java = java_of_spark_submit()
        self._stream = self._java.System.err

    def write(self, text: str) -> None:
        """Write text. If Java has ended, write to the standard error of this process."""
        try:
            self._stream.print(text)
        except (*SPARK_ERRORS, OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Do nothing: Java's stream is not buffered."""

    def isatty(self) -> bool:
        """Tell whether it is a terminal: by Linux, or by a program that inherits it from Java."""
        with contextlib.suppress(OSError):  # Java is the parent of this process
            stderr = Path(f"/proc/{os.getppid()}/fd/2").readlink()
            return str(stderr).startswith(_TERMINALS)
        command = self._java.java.util.ArrayList()
        for word in ("test", "-t", "2"):
            command.add(word)
        try:
            process = self._java.java.lang.ProcessBuilder(command).inheritIO().start()
            return bool(process.waitFor() == 0)
        except SPARK_ERRORS:  # this system lacks the program: assume that there is no terminal
            return False


def _open_stderr() -> Terminal | Stream:
    stream = _JvmStderr() if is_under_spark_submit() else sys.stderr
    return Terminal(stream) if stream.isatty() else stream


def _find_terminals() -> list[Terminal]:
    streams = [getattr(handler, "stream", None) for handler in _log.handlers]
    return [stream for stream in streams if isinstance(stream, Terminal)]


@contextmanager
def _show_from_thread(
    terminal: Terminal, progress: Progress, count_tasks: Callable[[], tuple[int, int]]
) -> Iterator[None]:
    is_over = threading.Event()
    thread = threading.Thread(
        target=_show_until, args=(is_over, terminal, progress, count_tasks), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        terminal.show("")


def _show_until(
    is_over: threading.Event,
    terminal: Terminal,
    progress: Progress,
    count_tasks: Callable[[], tuple[int, int]],
) -> None:
    step, since = "", time.monotonic()
    # Spark may have ended, or not have started yet: the run itself will report that.
    with contextlib.suppress(*SPARK_ERRORS, OSError):
        while not is_over.wait(_INTERVAL_SECONDS):
            if progress.where != step:
                step, since = progress.where, time.monotonic()
            done, every = count_tasks()
            of_tasks = f", {done:,} of {every:,} tasks" if every else ""
            terminal.show(f"{step or 'start'}: {time.monotonic() - since:.0f} s{of_tasks}")
