"""Where Spark is: as installed, and as `make setup` prepared it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyspark

INSTALLED = Path(pyspark.__file__).resolve().parent
QUICK = Path(sys.prefix) / "quick-spark"


def use_quick_spark() -> None:
    """Let what is started from here on take the quick one, unless the environment names another."""
    os.environ.setdefault("SPARK_HOME", str(QUICK))
