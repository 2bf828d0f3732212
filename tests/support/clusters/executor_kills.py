"""Executors that are killed by a task of their own, with SIGKILL, once at each named place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pyspark import cloudpickle

# Executors don't have the tests: they get this by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def asked(process: int, what: str) -> str:
    """What `ps` says of a process."""
    command = ["ps", "-ww", "-o", f"{what}=", "-p", str(process)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def kill_executor(place: str, folder: str, *, with_worker: bool = False) -> None:
    """Kill the JVM whose daemon started this Python worker, unless one was killed here already.

    Args:
        place: A place of the run.
        folder: Where a file says that it happened.
        with_worker: Whether the cluster's worker, which started the executor, is killed too.
    """
    executor = int(asked(os.getppid(), "ppid"))
    doomed = {executor: "CoarseGrainedExecutorBackend"}
    if with_worker:
        doomed = {int(asked(executor, "ppid")): "deploy.worker.Worker", **doomed}
    for process, main in doomed.items():
        if main not in asked(process, "args"):
            raise RuntimeError(f"process {process} is no {main}")
    try:
        with Path(folder, place).open("x") as file:
            file.write(str(executor))
    except FileExistsError:
        return
    for process in doomed:
        os.kill(process, signal.SIGKILL)
    signal.pause()


def meeting(place: str, where: str, folder: str) -> Callable[[str], bool]:
    """A function of image IDs that is always true, and at that of a place kills the executor."""

    def is_met(image_id: str) -> bool:
        if image_id == where:
            kill_executor(place, folder)
        return True

    return is_met
