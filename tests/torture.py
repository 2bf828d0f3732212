"""Stop the job at random points, again and again, and look what a reader sees.

    python -m tests.torture [--kills 200] [--seed 1] [--cases NAME …]

A chain is a folder with a table and a list: runs are stopped in it one after the other, each over
what the one before left, and at last one runs to its end. Half of the stops are at a call to Java,
of a random phase; half at a random moment of time. After each stop a reader must see the old output
or the new one, and unchanged inputs; at the end the new one, one commit, and nothing left behind.

Between the two renames that replace a directory there is no output for an instant; a run
that is stopped there is counted as a gap, which the next run must mend.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from tests.support.faults.cases import CASES, Case, left_behind
from tests.support.paths import ROOT
from tests.support.processes.runs import stopping_command, wait_for_group
from tests.support.spark.home import use_quick_spark
from tests.support.spark.settings import SPARK_SETTINGS

HOWS = ("group", "SIGKILL", "java", "SIGTERM", "exception")
MOST_STOPS_OF_A_CHAIN = 6
PHASES = ("start", "plan", "check", "apply", "verify", "publish")


@dataclass
class Tally:
    """What came of all runs."""

    runs: int = 0
    stops: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    hows: collections.Counter[str] = field(default_factory=collections.Counter)
    gaps: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass
class Ended:
    """How a run ended."""

    code: int
    phase: str
    is_stopped: bool
    output: str


class Chain:
    """Runs over one another's remains, in a folder of their own."""

    def __init__(self, case: Case, spark: SparkSession, template: Path, tally: Tally) -> None:
        self.case, self.spark, self.tally = case, spark, tally
        self.folder = Path(tempfile.mkdtemp(prefix="torture-", dir=template.parent))
        shutil.copytree(template, self.folder, dirs_exist_ok=True)
        self.inputs = case.inputs_digest(self.folder)
        self.is_keyed = random.random() < 0.7
        self.history: list[str] = [] if self.is_keyed else ["no run key"]

    def stop_again_and_again(self, calls: dict[str, int], seconds: float, most: int) -> None:
        """Stop runs until one ends by itself; then, or at the latest now, run to the end."""
        for _ in range(random.randint(1, min(most, MOST_STOPS_OF_A_CHAIN))):
            ended = self._stopped(calls, seconds)
            if not ended.is_stopped:
                break
            self.tally.stops[self.case.name, ended.phase] += 1
            self._look()
        self._run_to_the_end()
        if not self.tally.violations:
            shutil.rmtree(self.folder)

    def _stopped(self, calls: dict[str, int], seconds: float) -> Ended:
        how = random.choice(HOWS)
        if random.random() < 0.5:
            phase = random.choice([name for name in PHASES[1:] if calls.get(name)])
            return self._run(f"{phase}:{random.randint(1, calls[phase])}", how)
        how = random.choice(["group", "SIGTERM"])
        return self._run("nowhere", how, after=random.uniform(0.2, 1) * seconds)

    def _run(self, place: str, how: str, after: float | None = None) -> Ended:
        self.history.append(f"{place} {how}" + (f" after {after:.2f} s" if after else ""))
        self.tally.runs += 1
        flags = self.case.arguments(Path(), is_keyed=self.is_keyed)
        ended = run_job(flags, self.folder, place, how, after)
        self.history[-1] += f" -> {ended.phase}, exit {ended.code}"
        if ended.is_stopped:
            self.tally.hows[how] += 1
        return ended

    def _look(self) -> None:
        seen = self.case.seen(self.spark, self.folder)
        before = "nothing" if self.case.old is None else "old"
        if seen == "nothing" and before == "old" and self.case.output_format != "delta":
            self.tally.gaps += 1
        elif seen not in (before, "new"):
            self._violated(f"a reader sees {seen}")
        self._check_inputs()

    def _run_to_the_end(self) -> None:
        is_done = self.case.seen(self.spark, self.folder) == "new"
        ended = self._run("nowhere", "count")
        if ended.code != (self.case.code_when_done if is_done and not self.is_keyed else 0):
            errors = re.findall(r"^.* ERROR dedup_lib.*$", ended.output, re.MULTILINE)
            self._violated(f"the retry ends in {ended.code}: {errors}")
        if (seen := self.case.seen(self.spark, self.folder)) != "new":
            self._violated(f"after the retry a reader sees {seen}")
        commits = self.case.num_commits(self.spark, self.folder)
        if self.is_keyed and commits != self.case.commits:
            self._violated(f"{commits} commits, not {self.case.commits}")
        if names := left_behind(self.folder):
            self._violated(f"left behind: {names}")
        self._check_inputs()

    def _check_inputs(self) -> None:
        if self.case.inputs_digest(self.folder) != self.inputs:
            self._violated("the inputs changed")

    def _violated(self, what: str) -> None:
        text = f"{self.case.name}: {what} (in {self.folder}: {'; '.join(self.history)})"
        print(f"VIOLATION {text}", flush=True)
        self.tally.violations.append(text)


def run_job(
    flags: tuple[str, ...], folder: Path, place: str, how: str, after: float | None = None
) -> Ended:
    """Run the job until it ends or is stopped: at a place, or by a signal after some seconds."""
    notes = folder / "notes"
    notes.unlink(missing_ok=True)
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            stopping_command(place, how if after is None else "count", *flags),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAULT_NOTES": str(notes)},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        is_stopped = False
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL if how == "group" else signal.SIGTERM)
            is_stopped = True
            process.wait()
    wait_for_group(process.pid)
    lines = notes.read_text().splitlines() if notes.exists() else []
    is_stopped |= any(line.startswith("stopped") for line in lines)
    phase = ([line for line in lines if line in PHASES] or ["start"])[-1]
    return Ended(process.returncode, phase, is_stopped, log.read_text(errors="replace"))


def measure(case: Case, template: Path) -> tuple[dict[str, int], float]:
    """Count the calls to Java of each phase, and the seconds of a run."""
    folder = Path(tempfile.mkdtemp(prefix="measure-", dir=template.parent))
    shutil.copytree(template, folder, dirs_exist_ok=True)
    started = time.monotonic()
    ended = run_job(case.arguments(Path()), folder, "nowhere", "count")
    assert ended.code == 0, ended.output
    calls = json.loads((folder / "notes").read_text().splitlines()[-1])
    shutil.rmtree(folder)
    return calls, time.monotonic() - started


def torture(root: Path, cases: list[str], kills: int, tally: Tally) -> None:
    """Take the cases in turns, a chain of stopped runs each, until there were enough stops."""
    spark = started_spark()
    measured = {}
    for name in cases:
        template = root / name.replace(" ", "-").replace(",", "")
        CASES[name].lay_out(spark, template)
        measured[name] = (template, *measure(CASES[name], template))
    for name in itertools.cycle(cases):
        left = kills - tally.stops.total()
        if left <= 0:
            return
        template, calls, seconds = measured[name]
        Chain(CASES[name], spark, template, tally).stop_again_and_again(calls, seconds, left)
        print(f"{tally.stops.total()} stops, {len(tally.violations)} violations", flush=True)


def started_spark() -> SparkSession:
    """A session that reads as any reader does."""
    builder = SparkSession.builder.master("local[1]")
    for key, value in SPARK_SETTINGS.items():
        builder = builder.config(key, value)
    return builder.config("spark.driver.memory", "1g").getOrCreate()


def table(tally: Tally) -> str:
    """What came of it, as Markdown."""
    header = ["stopped in", *PHASES, "all"]
    rows = []
    for name in sorted({name for name, _ in tally.stops}, key=list(CASES).index):
        stops = [tally.stops[name, phase] for phase in PHASES]
        rows.append([name, *stops, sum(stops)])
    rows.append(["all", *(sum(row[at] for row in rows) for at in range(1, len(header)))])
    hows = ", ".join(f"{how} {number}" for how, number in sorted(tally.hows.items()))
    found = f"{tally.gaps} gaps, mended by the next run; {len(tally.violations)} violations"
    title = f"{tally.runs} runs, {tally.stops.total()} stopped ({hows}); {found}"
    lines = [f"| {' | '.join(map(str, row))} |" for row in [header, ["---"] * 8, *rows]]
    return "\n".join([title, "", *lines])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    use_quick_spark()
    random.seed(options.seed)
    tally = Tally()
    root = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        torture(root, options.cases, options.kills, tally)
    finally:
        print(table(tally))
        if not tally.violations:
            shutil.rmtree(root)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
