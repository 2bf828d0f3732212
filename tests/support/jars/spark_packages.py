"""Spark's own resolver, run once for the jars that it leaves in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def fetch(folder: str, *flags: Any, seconds: float) -> bool:
    """Run spark-submit with flags that name packages; they come to FOLDER/ivy/jars."""
    nothing = Path(folder, "nothing.py")
    nothing.write_text("")
    submit = Path(sys.executable).parent / "spark-submit"
    command = [submit, *flags, "--conf", f"spark.jars.ivy={folder}/ivy", nothing]
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    if result.returncode != 0:
        print(result.stderr[-2000:], file=sys.stderr)
    return result.returncode == 0
