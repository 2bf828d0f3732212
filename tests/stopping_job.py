"""The job, in a process that sends itself a signal at a named place.

Usage: stopping_job.py PLACE SIGNAL FLAG…

PLACE is the end of a phase (plan, check, apply, verify), `committed` (Delta's commit is made),
`deleted` (rows were deleted by a Delta commit), or `renamed` (between the two
renames that replace a directory).
"""

import os
import signal
import sys
import threading
from contextlib import contextmanager

from dedup_lib import cli, delta_delete, publish
from dedup_lib.report import Report
from dedup_lib.storage import Storage

place, signal_name = sys.argv[1:3]
timed, rename, stage = Report.phase, Storage.rename, publish.stage
delete_ids = delta_delete.delete_ids


def stop():
    os.kill(os.getpid(), signal.Signals[signal_name])
    threading.Event().wait(60)  # a signal that is handled interrupts this


@contextmanager
def phase(self, name):
    with timed(self, name):
        yield
    if name == place:
        stop()


def renaming(self, source, target):
    rename(self, source, target)
    if place == "renamed" and ".dedup-old-" in target:
        stop()


def staging(*args, **kwargs):
    staged = stage(*args, **kwargs)
    if place == "committed":
        stop()
    return staged


def deleting(*args, **kwargs):
    rows = delete_ids(*args, **kwargs)
    if place == "deleted":
        stop()
    return rows


delta_delete.delete_ids = deleting
Report.phase, Storage.rename, publish.stage = phase, renaming, staging
cli.main(sys.argv[3:])
