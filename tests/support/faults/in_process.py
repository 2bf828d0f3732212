"""Faults in this process: runs that fail at a named place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dedup_lib.delta import delete
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


def send_deletions_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send each deletion of a run again, as Spark Connect may; Delta skips the second."""
    delete_ids = delete.delete_ids

    def twice(*args: Any, **options: Any) -> int | None:
        delete_ids(*args, **options)
        rows = delete_ids(*args, **options)
        assert rows is None
        return rows

    monkeypatch.setattr(delete, "delete_ids", twice)
