"""An environment of its own for NeMo Curator, which pulls much in; made once, from PyPI.

Only what the import of its image removal stage needs is installed, none of it a stand-in: Curator
and cosmos-xenna as they are but without their dependencies (PyTorch, transformers, … which that
import never touches), then Ray, which cosmos-xenna imports, pandas, loguru and pyarrow.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

WITHOUT_DEPENDENCIES = ("nemo-curator==1.4.0", "cosmos-xenna==0.2.0")
WITH_DEPENDENCIES = ("loguru==0.7.3", "numpy==2.4.6", "pandas==3.1.1", "ray==2.60.0")


def python_of_curator(folder: Path) -> str:
    """Return the environment's Python; make the environment where it isn't there.

    Raises:
        subprocess.CalledProcessError: It can't be made; `stderr` tells why.
    """
    place = folder / "curator-venv"
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.exists():
        print(f"  making {place.name}, some 640 MB", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        # The same pyarrow as the other peers: what is compared is not its version.
        pyarrow = f"pyarrow=={version('pyarrow')}"
        _run(str(python), "-m", "pip", "install", *WITH_DEPENDENCIES, pyarrow)
        _run(str(python), "-m", "pip", "install", "--no-deps", *WITHOUT_DEPENDENCIES)
        ready.touch()
    return str(python)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
