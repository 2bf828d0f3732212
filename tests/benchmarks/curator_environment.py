"""An environment of its own for NeMo Curator, which pulls much in; made once, from PyPI.

Only what the import of its image removal stage needs is installed, none of it a stand-in: Curator
and cosmos-xenna as they are but without their dependencies (PyTorch, transformers, … which that
import never touches), then Ray, which cosmos-xenna imports, pandas, loguru and pyarrow, by lock
files with hashes. pyarrow is that of the other peers: what is compared is not its version.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_ALONE = _HERE / "curator-alone.lock"
# With DALI and what else `make test-shards` needs, for stages that read and write shards.
LOCKS = {
    "curator": (_HERE / "curator.lock", _ALONE),
    "curator-on-dali": (_HERE.parent / "judges/requirements.lock", _ALONE),
}
_SIZES = {"curator": "640 MB", "curator-on-dali": "1.7 GB"}


def python_of_curator(folder: Path, environment: str = "curator") -> str:
    """Return the environment's Python; make the environment where it isn't there.

    Raises:
        subprocess.CalledProcessError: It can't be made; `stderr` tells why.
    """
    place = folder / f"{environment}-venv"
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.exists():
        print(f"  making {place.name}, some {_SIZES[environment]}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        for lock in LOCKS[environment]:
            options = ("--require-hashes", "--no-deps", "--requirement", str(lock))
            _run(str(python), "-m", "pip", "install", *options)
        ready.touch()
    return str(python)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
