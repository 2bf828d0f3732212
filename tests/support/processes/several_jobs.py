"""Runs of the job in one process, as one after the other in one Spark.

Usage: several_jobs.py PIPE, where each line is a JSON list, the flags of a run. Each run prints its
report, and on a line of its own its exit code. The end of the pipe ends the process.
"""

import json
import sys
from pathlib import Path

from dedup_lib.cli import run_command

with Path(sys.argv[1]).open() as pipe:
    for line in pipe:
        print(run_command(json.loads(line)), flush=True)
