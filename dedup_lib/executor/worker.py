"""Run functions of this package in Spark's Python worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, and leave the worker in a state in which its next task starts fast."""
    # pyarrow's allocator reads this when it is loaded. With it, memory is kept for the next batch.
    # Without it, memory is returned to the system, which clears it again.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "-1")
    try:
        return function(*arguments)
    finally:
        _forget_jars()


def _forget_jars() -> None:
    """Drop Spark's jar from Python's import cache; Python adds it again when necessary.

    Spark's workers refresh that cache before each task. Then some versions of Python read the
    directory of the whole jar, which takes 0.25 s.
    """
    for path in [path for path in sys.path_importer_cache if path.endswith(".jar")]:
        sys.path_importer_cache.pop(path, None)
