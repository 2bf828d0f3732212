"""Run functions of this package in Spark's Python worker."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zipimport import zipimporter

if TYPE_CHECKING:  # executors get this module by value, and could get these only by their names
    from typing import ParamSpec, TypeVar

    _Given = ParamSpec("_Given")
    _Result = TypeVar("_Result")


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, and leave the worker in a state in which its next task starts fast."""
    # pyarrow's allocator reads this when it is loaded. With it, memory is kept for the next batch.
    # Without it, memory is returned to the system, which clears it again.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "-1")
    try:
        return function(*arguments)
    finally:
        _forget_archives()


def without_gc(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Let a function run without Python's search for cycles: for many objects that are in none.

    For the members of shards, the search takes a sixth of the time.
    """

    @functools.wraps(function)
    def call(*given: _Given.args, **named: _Given.kwargs) -> _Result:
        is_enabled = gc.isenabled()
        gc.disable()
        try:
            return function(*given, **named)
        finally:
            if is_enabled:
                gc.enable()

    return call


def _forget_archives() -> None:
    """Drop Spark's archives from Python's import cache; Python adds them again when necessary.

    Spark's workers refresh that cache before each task. Then some versions of Python read the list
    of an archive's files once for each package in it: 0.2 s for pyspark.zip and Spark's jar.
    """
    found = list(sys.path_importer_cache.items())
    for path in (path for path, importer in found if isinstance(importer, zipimporter)):
        sys.path_importer_cache.pop(path, None)
