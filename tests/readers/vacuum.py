"""Vacuum a table in full by delta-rs, as it is after its retention: `vacuum.py TABLE`.

The retention is a week by default, and counts from a file's time: all files are made older.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from deltalake import DeltaTable

if __name__ == "__main__":
    for path in Path(sys.argv[1]).rglob("*"):
        os.utime(path, (time.time() - 8 * 86_400,) * 2)
    DeltaTable(sys.argv[1]).vacuum(full=True, dry_run=False)
