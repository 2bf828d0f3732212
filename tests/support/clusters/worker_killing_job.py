"""The job, one of whose tasks kills the worker of a standalone cluster that it runs on.

Usage: worker_killing_job.py FOLDER FLAG…

It is the task that has written the file 3.parquet by engine arrow, before that gets its name.
FOLDER/rewrite then says which executor died with the worker.
"""

import sys

from dedup_lib import cli
from dedup_lib.executor import new_file
from tests.support.clusters.executor_kills import kill_executor

folder = sys.argv[1]
give_name = new_file._give_name


def naming(partial, target):
    if target.endswith("/3.parquet"):
        kill_executor("rewrite", folder, with_worker=True)
    return give_name(partial, target)


new_file._give_name = naming
cli.main(sys.argv[2:])
