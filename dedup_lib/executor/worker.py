"""Run functions of this package in Spark's Python worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any
from zipimport import zipimporter


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, and leave the worker in a state in which its next task starts fast."""
    # pyarrow's allocator reads this when it is loaded. With it, memory is kept for the next batch.
    # Without it, memory is returned to the system, which clears it again.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "-1")
    try:
        return function(*arguments)
    finally:
        _forget_archives()


def _forget_archives() -> None:
    """Drop Spark's archives from Python's import cache; Python adds them again when necessary.

    Spark's workers refresh that cache before each task. Then some versions of Python read the list
    of an archive's files once for each package in it: 0.2 s for pyspark.zip and Spark's jar.
    """
    found = list(sys.path_importer_cache.items())
    for path in (path for path, importer in found if isinstance(importer, zipimporter)):
        sys.path_importer_cache.pop(path, None)
