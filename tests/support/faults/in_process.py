"""Faults in this process: runs that fail at a named place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dedup_lib.session.progress import Progress


class StoppedError(Exception):
    """What the tests stop a run with."""


def stop_at(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    """Let runs fail at the end of a phase, as if the last thing in it had failed."""

    def stop() -> None:
        raise StoppedError(phase)

    act_after(monkeypatch, phase, stop)


def act_after(monkeypatch: pytest.MonkeyPatch, phase: str, act: Callable[[], None]) -> None:
    """Let something happen at the end of a phase of each run."""
    timed = Progress.phase

    @contextmanager
    def acting(self: Progress, name: str) -> Iterator[None]:
        with timed(self, name):
            yield
        if name == phase:
            act()

    monkeypatch.setattr(Progress, "phase", acting)
