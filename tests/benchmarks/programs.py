"""Time programs of their own, from start to end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.results import Run


def timed(
    run: Run,
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Run:
    """Time a process with all below it, and a sync of the file systems."""
    started, before = time.monotonic(), os.times()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    ended, used = time.monotonic(), os.times()
    os.sync()
    cpu = used.children_user + used.children_system - before.children_user - before.children_system
    return replace(
        run,
        wall_seconds=ended - started,
        sync_seconds=time.monotonic() - ended,
        cpu_seconds=cpu,
        error=None if done.returncode == 0 else done.stderr[-500:],
    )
