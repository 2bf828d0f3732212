"""The program for spark-submit: `spark-submit jobs/remove_duplicates.py --help`."""

import sys
from pathlib import Path

try:
    from dedup_lib.cli import main
except ModuleNotFoundError as error:  # this is a checkout, and it is not installed
    if error.name != "dedup_lib":
        raise
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from dedup_lib.cli import main

if __name__ == "__main__":
    main()
