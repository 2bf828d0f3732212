"""Several runs of the job in one process, as one after the other in one Spark.

Usage: several_jobs.py RUNS, a JSON list of lists of flags; each prints its report, and on a line
of its own its exit code.
"""

import json
import sys

from dedup_lib.cli import run_command

for flags in json.loads(sys.argv[1]):
    print(run_command(flags), flush=True)
