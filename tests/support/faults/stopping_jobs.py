"""Several jobs at once, in a process that is killed when each has come to its place.

Usage: stopping_jobs.py HOW JOBS, where JOBS is a JSON list of [PLACE, [FLAG…]], PLACE one of
places.py. Each job has a session and a thread of its own, and waits at its place for the others.

HOW is `group`: SIGKILL to Java and Python; `python`: to Python alone; `java`: to Java alone, which
is the parent (spark-submit), and then the jobs go on without it.

Into the file that FAULT_NOTES names goes the number of the process group, once all jobs wait.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from dedup_lib import cli, run
from dedup_lib.session.start import start_session
from tests.support.faults.places import tell_places

how, jobs = sys.argv[1], json.loads(sys.argv[2])
spark = start_session()
own = threading.local()  # the place of the job in this thread
all_wait, may_go_on = threading.Barrier(len(jobs) + 1, timeout=240), threading.Event()


def reached(name):
    if name == own.place:
        all_wait.wait()
        may_go_on.wait()


def do(place, flags):
    own.place = place
    try:
        run(spark.newSession(), cli.parse(flags))
    except BaseException:
        traceback.print_exc()
    all_wait.abort()  # in vain if it is over; else this job never came to its place


tell_places(reached, lambda _: None)
threads = [threading.Thread(target=do, args=job, daemon=True) for job in jobs]
for thread in threads:
    thread.start()
all_wait.wait()
Path(os.environ["FAULT_NOTES"]).write_text(str(os.getpgid(0)))
if how == "group":
    os.killpg(0, signal.SIGKILL)
elif how == "python":
    os.kill(os.getpid(), signal.SIGKILL)
java = os.getppid()
os.kill(java, signal.SIGKILL)
while os.getppid() == java:
    time.sleep(0.01)
may_go_on.set()
for thread in threads:
    thread.join()
