"""How often the files of a directory are opened, and the directory listed: Linux' inotify."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

IN_CLOSE_NOWRITE, IN_OPEN, IN_Q_OVERFLOW, IN_ISDIR = 0x10, 0x20, 0x4000, 0x40000000
EVENT = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name that follows
POLL_MILLISECONDS = 100


class Opens:
    """Counts while the block runs.

    Closing is watched as well: Linux would count two opens of a file in a row as one.

    Attributes:
        of_files: Opens of files in the directory.
        of_directory: Opens of the directory: it was listed.
    """

    def __init__(self, directory: Path) -> None:
        self.of_files = 0
        self.of_directory = 0
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._directory = os.fsencode(directory)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read_until_ended, daemon=True)

    def __enter__(self) -> Self:
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK)
        mask = IN_OPEN | IN_CLOSE_NOWRITE
        if self._libc.inotify_add_watch(self._descriptor, self._directory, mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch failed")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._descriptor)

    def _read_until_ended(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while (events := poll.poll(POLL_MILLISECONDS)) or not self._ended.is_set():
            if events:
                self._count(os.read(self._descriptor, 2**18))

    def _count(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            _, mask, _, name_bytes = EVENT.unpack_from(data, position)
            position += EVENT.size + name_bytes
            if mask & IN_Q_OVERFLOW:
                raise OverflowError("inotify lost events: the counts would be too low")
            if mask & IN_OPEN:
                self.of_directory += bool(mask & IN_ISDIR)
                self.of_files += not mask & IN_ISDIR
