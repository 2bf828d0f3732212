"""Run the fast part of the suite on each supported pair of Spark and Delta: `make matrix`.

The default pair is that of the environment this runs in; the others are environments in
build/matrix. Ends with the README's table, and with exit code 1 where a test failed.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.support.paths import ROOT

PLACE = ROOT / "build/matrix"
# What depends on the versions: SQL, plans, types, formats, commits, messages. Runs that are killed,
# crowded or run as processes of their own take long, and are the default pair's.
FAST = (
    "tests/unit/session/test_schema_text.py",
    "tests/unit/executor/test_rewrite_file.py",
    "tests/transform",
    "tests/contract",
    *(
        f"tests/integration/{name}.py"
        for name in (
            "clone/test_clone",
            "iceberg/test_in_place",
            "iceberg/test_read_iceberg",
            "images/test_footers",
            "images/test_hostile_types",
            "images/test_image_layout",
            "in_place/test_in_place",
            "lists/test_id_types",
            "operation/test_metrics",
            "publish/test_existing_outputs",
            "publish/test_publish",
            "rewrite/test_arrow_engine",
            "rewrite/test_formats",
            "rewrite/test_no_shuffle",
            "images/test_statistics",
            "in_place/test_logged_rows",
        )
    ),
)
_VERSIONS = """
import importlib.metadata as m
print(*(m.version(name) for name in ("pyspark", "delta-spark")))
"""


@dataclass(frozen=True)
class Outcome:
    """What the tests came to on a pair of versions."""

    pyspark: str
    delta: str
    passed: int
    failed: tuple[str, ...]
    skipped: int
    seconds: float

    def row(self) -> str:
        counts = f"{self.passed} | {len(self.failed)} | {self.skipped} | {self.seconds / 60:.0f}"
        return f"| {self.pyspark} | {self.delta} | {counts} |"


def run_suite(name: str, python: Path) -> Outcome:
    """Run the fast part with an environment's Python; what pytest says goes to a file."""
    PLACE.mkdir(parents=True, exist_ok=True)
    results, log = PLACE / f"{name}.xml", PLACE / f"{name}.log"
    results.unlink(missing_ok=True)
    versions = subprocess.run([python, "-c", _VERSIONS], check=True, capture_output=True, text=True)
    command = (
        *(python, "-m", "pytest", "--numprocesses", "2", "--dist", "loadfile"),
        *("--no-loadscope-reorder", f"--junit-xml={results}", *FAST),
    )
    started = time.monotonic()
    with log.open("w") as stream:
        subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if not results.exists():
        sys.exit(f"matrix: {name}: no test was run, see {log.relative_to(ROOT)}")
    return _outcome(results, *versions.stdout.split(), seconds=time.monotonic() - started)


def _outcome(results: Path, pyspark: str, delta: str, *, seconds: float) -> Outcome:
    passed, skipped, failed = 0, 0, []
    for case in ET.parse(results).iter("testcase"):
        ends = {child.tag for child in case}
        if ends & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in ends:
            skipped += 1
        else:
            passed += 1
    return Outcome(pyspark, delta, passed, tuple(failed), skipped, seconds)


def main(names: list[str]) -> int:
    pythons = {"default": Path(sys.executable)}
    pythons |= {name: PLACE / name / "bin/python" for name in names}
    outcomes = []
    for name, python in pythons.items():
        print(f"matrix: {name}", flush=True)
        outcomes.append(run_suite(name, python))
        for test in outcomes[-1].failed:
            print(f"  FAILED {test}", flush=True)
    print(f"\n{dt.datetime.now(dt.UTC).date()}\n")
    print("| pyspark | Delta | passed | failed | skipped | minutes |\n|---|---|---|---|---|---|")
    print(*(outcome.row() for outcome in outcomes), sep="\n")
    has_run = all(outcome.passed for outcome in outcomes)
    return 1 if not has_run or any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
