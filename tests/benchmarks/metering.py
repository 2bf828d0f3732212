"""What a process and all below it use: CPU, memory, bytes read and written.

Memory is sampled, every 50 ms: the resident set, added up over the processes, so pages that
processes share count once for each; and the part of it that is anonymous, which leaves out files
that are mapped (Polars maps its input, Java its jars). A child that still is its parent's copy,
in the moment of a fork, is not counted twice. Bytes are those of read and write calls,
from the page cache or not; mapped files are not among them. CPU and bytes of processes that ended
meanwhile are those of their parents, as Linux adds them up.
"""

from __future__ import annotations

import threading
from dataclasses import astuple, dataclass
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.05
SAMPLES_PER_LOOK_FOR_CHILDREN = 4


@dataclass(frozen=True)
class Usage:
    """What was used up to a moment, or between two.

    Attributes:
        cpu_seconds: User and system time.
        read_bytes: By read calls.
        written_bytes: By write calls.
        disk_read_bytes: What had to come from the disk: 0 where caches were warm.
        disk_written_bytes: What was to go to the disk.
    """

    cpu_seconds: float
    read_bytes: int
    written_bytes: int
    disk_read_bytes: int
    disk_written_bytes: int

    def since(self, earlier: Usage) -> Usage:
        pairs = zip(astuple(self), astuple(earlier), strict=True)
        return Usage(*(now - then for now, then in pairs))


def usage_of(root: psutil.Process) -> Usage:
    """Add up what a process and those below it have used."""
    each = [astuple(_usage_of_one(process)) for process in tree(root)]
    return Usage(*map(sum, zip(*each, strict=True)))


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and all below it; none where it is gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class PeakMemory:
    """Samples the memory of a process tree in a thread while the block runs."""

    def __init__(self, root: psutil.Process) -> None:
        self.resident_bytes = 0
        self.anonymous_bytes = 0
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_ended, daemon=True)

    def __enter__(self) -> Self:
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

    def _sample_until_ended(self) -> None:
        count, processes = 0, []
        while not self._ended.wait(SAMPLE_SECONDS if count else 0):
            if count % SAMPLES_PER_LOOK_FOR_CHILDREN == 0:
                processes = tree(self._root)
            self._sample(processes)
            count += 1

    def _sample(self, processes: list[psutil.Process]) -> None:
        mapped: dict[int, int] = {}
        resident = anonymous = 0
        for process in processes:
            try:
                memory, parent = process.memory_info(), process.ppid()
            except psutil.NoSuchProcess:
                continue
            mapped[process.pid] = memory.vms
            # A child that was forked and has not yet become another program: Java's own pages.
            if memory.vms != mapped.get(parent):
                resident += memory.rss
                anonymous += memory.rss - memory.shared
        self.resident_bytes = max(self.resident_bytes, resident)
        self.anonymous_bytes = max(self.anonymous_bytes, anonymous)


def _usage_of_one(process: psutil.Process) -> Usage:
    try:
        with process.oneshot():
            cpu, counters = process.cpu_times(), process.io_counters()
    except psutil.NoSuchProcess:
        return Usage(0.0, 0, 0, 0, 0)
    return Usage(
        cpu.user + cpu.system + cpu.children_user + cpu.children_system,
        counters.read_chars,
        counters.write_chars,
        counters.read_bytes,
        counters.write_bytes,
    )
