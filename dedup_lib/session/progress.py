"""The current phase and step of a run, and how long phases and steps took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

# Times a step of a phase: `with step("scan image IDs"): …`
Step = Callable[[str], AbstractContextManager[None]]


class Progress:
    """The current phase and step of a run, and how long phases and steps took.

    Attributes:
        seconds: Seconds of each phase that has ended.
        steps: Seconds of each step that has ended.
    """

    def __init__(self, seconds: dict[str, float], steps: dict[str, float]) -> None:
        self.seconds = seconds
        self.steps = steps
        self._path: list[str] = []
        self._listener: Callable[[str], None] | None = None

    @property
    def where(self) -> str:
        """The current phase and step: `plan / scan image IDs`; empty outside the phases."""
        return " / ".join(self._path)

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Time a phase of the run."""
        return self._timed(name, self.seconds)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Time a step of a phase."""
        return self._timed(name, self.steps)

    @contextmanager
    def notifying(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Call a listener with the current phase and step, now and after each change."""
        self._listener = listener
        listener(self.where)
        try:
            yield
        finally:
            self._listener = None

    @contextmanager
    def _timed(self, name: str, times: dict[str, float]) -> Iterator[None]:
        started, above = time.monotonic(), self._path
        self._move([*above, name])
        try:
            yield
        finally:
            self._move(above)
            times[name] = round(time.monotonic() - started, 3)

    def _move(self, path: list[str]) -> None:
        self._path = path  # a new list, since other threads read it
        if self._listener is not None:
            self._listener(self.where)
