"""The wheel's entry point in a wrapper that drops what it returns and catches its stdout."""

import json
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.processes.runs import FLAGS, KEPT, ids, run, small_inputs

pytestmark = pytest.mark.classic("it starts a session of its own")


def wrapped(*flags, cwd):
    command = [sys.executable, ROOT / "tests/support/processes/wrapped_entry_point.py", *flags]
    return run(command, cwd=cwd, PYTHONPATH=str(ROOT), DATABRICKS_RUNTIME_VERSION="17.3")


def test_a_wrapper_sees_how_a_run_ends_and_keeps_its_session(spark, tmp_path):
    small_inputs(tmp_path)
    flags = (*FLAGS, "--report", "report.json")

    done = wrapped(*flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    report, left = done.stdout.splitlines()
    assert left == "3 rows in the session that was there before"
    assert (tmp_path / "report.json").read_text() == report + "\n"
    assert ids(spark, tmp_path / "out") == KEPT

    failed = wrapped(*flags, cwd=tmp_path)
    assert failed.returncode == 5  # the output exists
    assert failed.stdout == ""
    assert json.loads((tmp_path / "report.json").read_text())["status"] == "failed"
