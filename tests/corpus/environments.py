"""An environment for each tool, from a lock file; made once, outside of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_in_own(tool: str, folder: Path, *arguments: Path) -> None:
    """Run a tool's script by the tool's own Python.

    Args:
        tool: The name of its lock file, and of its script.
        folder: Where environments are made. One that is ready is used again.
        arguments: What the script is given.

    Raises:
        subprocess.CalledProcessError: The tool can't be installed, or fails.
    """
    place = folder / tool
    python, ready = place / "bin/python", place / "ready"
    if not ready.exists():
        print(f"  making an environment for {tool}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", place)
        lock = HERE / f"requirements/{tool}.lock"
        _run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", lock)
        ready.touch()
    _run(python, HERE / f"producers/run_{tool}.py", *arguments)


def _run(*command: str | Path) -> None:
    # Some tools write sets of texts in their order.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    subprocess.run([str(part) for part in command], check=True, env=environment)
