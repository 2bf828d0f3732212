"""Plan anew if rows were appended to the image table while a run was at work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from dedup_lib.errors import PlanOutdatedError

_RETRIES = 3
_log = logging.getLogger(__name__)


class Executed(Protocol):
    """A run that can be executed once."""

    def execute(self) -> None:
        """Do all steps of the run."""


def execute(new_run: Callable[[], Executed]) -> None:
    """Execute a run. If its plan is outdated, execute a new one, three times at most.

    Args:
        new_run: Makes a run, which reads its inputs again.

    Raises:
        PlanOutdatedError: Rows were appended during each try.
    """
    for retry in range(1, _RETRIES + 1):
        try:
            return new_run().execute()
        except PlanOutdatedError as error:
            _log.warning("%s Planning anew (%s of %s)", error, retry, _RETRIES)
    return new_run().execute()
