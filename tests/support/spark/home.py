"""The installed Spark under another path, without the zips of its Python: tasks begin sooner.

Before each task a Python worker forgets what it knows of its path, and below Python 3.12 that is to
read the whole directory of each zip there: 0.1 s a task. Workers of tests have the package itself.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyspark

INSTALLED = Path(pyspark.__file__).resolve().parent
_HOME = Path(sys.prefix) / "spark-of-tests"


def use_quick_spark() -> None:
    """Let what is started from here on take it, unless the environment names another."""
    os.environ.setdefault("SPARK_HOME", str(_HOME))
    if not (_HOME / "bin").exists():
        shutil.rmtree(_HOME, ignore_errors=True)  # its links lead to where the project was before
        with tempfile.TemporaryDirectory(dir=_HOME.parent) as folder:
            made = Path(folder) / "made"
            link_spark(made)
            if not _HOME.exists():  # another process may be at the same
                made.rename(_HOME)


def link_spark(home: Path) -> None:
    """Make such a folder of links."""
    (home / "python").mkdir(parents=True)
    for path in (*INSTALLED.iterdir(), *(INSTALLED / "python").iterdir()):
        if path.name not in {"python", "lib"}:
            (home / path.relative_to(INSTALLED)).symlink_to(path)
