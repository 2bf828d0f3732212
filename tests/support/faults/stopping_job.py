"""The job, in a process that stops itself at a named place.

Usage: stopping_job.py PLACE HOW FLAG…

PLACE is one of places.py; a call to Java within a phase, before it is made (`apply:137`; `start:…`
before the first phase); or `nowhere`.

HOW is the name of a signal that the process sends itself; `group`: SIGKILL to Java and Python;
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
from pathlib import Path

from py4j.java_gateway import GatewayClient

from dedup_lib import cli
from tests.support.faults.in_process import StoppedError
from tests.support.faults.places import tell_places

place, how = sys.argv[1:3]
notes = Path(os.environ.get("FAULT_NOTES", os.devnull))
calls = collections.Counter()
phases, stops = ["start"], []
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


def begun(phase):
    phases.append(phase)
    note(phase)


def reached(name):
    if name == place:
        stop()


def sending(self, command, *args, **kwargs):
    # What the garbage collector sends (`m`) comes when it comes.
    if threading.current_thread() is threading.main_thread() and not command.startswith("m"):
        calls[phases[-1]] += 1
        if not stops and place == f"{phases[-1]}:{calls[phases[-1]]}":
            stop()
    return send_command(self, command, *args, **kwargs)


tell_places(reached, begun)
GatewayClient.send_command = sending
try:
    cli.main(sys.argv[3:])
finally:
    note(json.dumps(calls))
