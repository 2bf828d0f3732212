"""Two parties that wait for each other: threads, processes, or tasks of Spark."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pyspark import cloudpickle

# Workers of Spark don't have the tests: they get this by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
PATIENCE_SECONDS = 120


def meet(folder: Path, place: str, party: str, parties: tuple[str, str] = ("a", "b")) -> None:
    """Wait until both parties have come to a place; who was there before goes on at once."""
    (folder / f"{place}-{party}").touch()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all((folder / f"{place}-{one}").exists() for one in parties):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{party!r} waits in vain at {place!r}")
        time.sleep(0.01)
