"""Runs of the job, each beside one of another process that starts the same way.

Usage: racing_jobs.py PARTY FOLDER RACES, a JSON list of [PLACE, FLAG…]; PARTY is a or b. Prints a
line of JSON for each race: exit code and report.

PLACE is where the two meet: `publish` (both have verified what they staged), or `replace` (a has
moved the old output away, and waits there until the run of b is over).
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from dedup_lib import cli
from dedup_lib.delta import DeltaFormat
from dedup_lib.files.format import FilesFormat
from dedup_lib.session.hadoop_storage import HadoopStorage
from tests.support.faults.meeting import meet

party, folder, races = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
promote, promote_delta = FilesFormat.promote, DeltaFormat.promote
rename = HadoopStorage.rename


def promoting(*args):
    if place == "publish" or party == "b":
        meet(folder, f"{number}-{place}", party)
    promote(*args)


def promoting_delta(*args):
    if place == "publish" or party == "b":
        meet(folder, f"{number}-{place}", party)
    promote_delta(*args)


def renaming(self, source, target):
    rename(self, source, target)
    if (place, party) == ("replace", "a") and ".dedup-old-" in target:
        meet(folder, f"{number}-{place}", party)
        meet(folder, f"{number}-over", party)


FilesFormat.promote, DeltaFormat.promote = promoting, promoting_delta
HadoopStorage.rename = renaming
for number, (place, *flags) in enumerate(races):
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        code = cli.run_command(flags)
    if (place, party) == ("replace", "b"):
        meet(folder, f"{number}-over", party)
    print(json.dumps([code, json.loads(stdout.getvalue())]), flush=True)
    meet(folder, f"{number}-end", party)
