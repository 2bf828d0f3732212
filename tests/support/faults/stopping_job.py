"""The job, in a process that stops itself at a named place.

Usage: stopping_job.py PLACE HOW FLAG…

PLACE is the end of a phase (`plan`, `check`, `apply`, `verify`, `publish`); a call to Java within
one, before it is made (`apply:137`; `start:…` before the first phase); `committed` (Delta's commit
is made), `deleted` (rows were deleted by a Delta commit) or `renamed` (between the two renames that
replace a directory); or `nowhere`.

HOW is the name of a signal that the process sends itself; `group`: SIGKILL to its Java, too;
`java`: SIGKILL to Java alone, which is its parent (spark-submit); `exception`; or `count`: nothing
stops.

Into the file that FAULT_NOTES names goes a line for each phase that begins, a line where it stops
(with the number of its process group), and at the end the calls to Java of each phase, as JSON.
"""

import collections
import json
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from py4j.java_gateway import GatewayClient

from dedup_lib import cli
from dedup_lib.delta import delete
from dedup_lib.delta.format import DeltaFormat
from dedup_lib.parquet.format import ParquetFormat
from dedup_lib.session.hadoop_storage import HadoopStorage
from dedup_lib.session.progress import Progress
from tests.support.faults.in_process import StoppedError

place, how = sys.argv[1:3]
notes = Path(os.environ.get("FAULT_NOTES", os.devnull))
calls = collections.Counter()
phases, stops = ["start"], []
timed, rename = Progress.phase, HadoopStorage.rename
stage, stage_delta = ParquetFormat.stage, DeltaFormat.stage
delete_ids = delete.delete_ids
send_command = GatewayClient.send_command


def note(line):
    with notes.open("a") as stream:
        stream.write(f"{line}\n")


def stop():
    stops.append(phases[-1])
    note(f"stopped in {phases[-1]}: group {os.getpgid(0)}")
    if how == "exception":
        raise StoppedError(place)
    if how == "java":
        os.kill(os.getppid(), signal.SIGKILL)
    elif how == "group":
        os.killpg(0, signal.SIGKILL)
    elif how != "count":
        os.kill(os.getpid(), signal.Signals[how])
        threading.Event().wait(60)  # a signal that is handled interrupts this


@contextmanager
def phase(self, name):
    phases.append(name)
    note(name)
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


def staging_delta(*args, **kwargs):
    staged = stage_delta(*args, **kwargs)
    if place == "committed":
        stop()
    return staged


def deleting(*args, **kwargs):
    rows = delete_ids(*args, **kwargs)
    if place == "deleted":
        stop()
    return rows


def sending(self, command, *args, **kwargs):
    # What the garbage collector sends (`m`) comes when it comes.
    if threading.current_thread() is threading.main_thread() and not command.startswith("m"):
        calls[phases[-1]] += 1
        if not stops and place == f"{phases[-1]}:{calls[phases[-1]]}":
            stop()
    return send_command(self, command, *args, **kwargs)


delete.delete_ids = deleting
Progress.phase, HadoopStorage.rename = phase, renaming
ParquetFormat.stage, DeltaFormat.stage = staging, staging_delta
GatewayClient.send_command = sending
try:
    cli.main(sys.argv[3:])
finally:
    note(json.dumps(calls))
