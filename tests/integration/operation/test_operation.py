"""What an operator sees of a run: Spark's UI, a terminal, a log."""

import os
import re
import subprocess

import pytest

from tests.support.paths import BIN, ROOT
from tests.support.processes.runs import (
    FLAGS,
    SPARK_SUBMIT,
    console,
    environment_with,
    small_inputs,
)
from tests.support.processes.terminals import screen
from tests.support.spark.stages import job_descriptions, newest_job

pytestmark = pytest.mark.classic("its own processes and the JVM's job descriptions are looked at")

SPARK = [*SPARK_SUBMIT, "--conf", "spark.log.level=WARN", ROOT / "jobs/remove_duplicates.py"]
COMMANDS = {"spark-submit": SPARK, "console script": [BIN / "remove-duplicates"]}
PHASES = ["plan", "check", "apply", "verify", "publish"]
PARTS = {
    "arrow": {"plan / read inputs", "plan / find rows that go", "apply / rewrite files"},
    "spark": {"plan / read inputs", "plan / find rows that go", "apply / rewrite"},
}


@pytest.mark.parametrize("engine", PARTS)
def test_spark_s_ui_names_each_job_after_the_part_of_the_run(
    spark, remove, images, listed, tmp_path, engine
):
    newest = newest_job(spark)
    remove(images, listed, tmp_path / "out", engine=engine)
    found = job_descriptions(spark, newest)
    assert all(text.startswith("remove-duplicates: ") for text in found), found
    assert {text.removeprefix("remove-duplicates: ") for text in found} >= PARTS[engine]


@pytest.mark.parametrize("own", [None, "the caller's"])
def test_the_caller_s_own_description_is_there_again_after_a_run(
    spark, remove, images, listed, tmp_path, own
):
    context = spark.sparkContext
    context.setJobDescription(own)
    try:
        remove(images, listed, tmp_path / "out")
        assert context.getLocalProperty("spark.job.description") == own
        with pytest.raises(Exception, match="exists"):
            remove(images, listed, tmp_path / "out")
        assert context.getLocalProperty("spark.job.description") == own
    finally:
        context.setJobDescription(None)


def run_in_terminal(command, cwd):
    """Run a command whose standard error is a terminal; return stdout and what the terminal got."""
    terminal, its_end = os.openpty()
    given = {"cwd": cwd, "env": environment_with(), "stdout": subprocess.PIPE, "stderr": its_end}
    with subprocess.Popen([str(part) for part in command], **given) as process:
        os.close(its_end)
        shown = b""
        while part := read(terminal):
            shown += part
        os.close(terminal)
        return process.stdout.read().decode(), shown.decode()


def read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last process that had it has ended
        return b""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_shows_how_far_the_run_is_and_keeps_only_the_log(tmp_path, command):
    small_inputs(tmp_path)
    stdout, shown = run_in_terminal([*COMMANDS[command], *FLAGS], tmp_path)
    assert '"status": "succeeded"' in stdout
    passing = re.compile(r"plan / [a-zA-Z ]+: \d+ s(, \d+ of \d+ tasks)?")
    assert passing.search(shown)
    assert re.search(r", \d+ of \d+ tasks", shown)
    assert "[Stage" not in shown
    lines = screen(shown)
    assert not [line for line in lines if passing.search(line)]
    ours = [line for line in lines if "dedup_lib" in line]
    assert all(re.match(r"\d{4}-\d\d-\d\d .* INFO dedup_lib", line) for line in ours)
    assert [word for line in ours for word in re.findall(r"(\w+) took", line)] == PHASES
    assert "\r" not in stdout


# What a log says of each phase, in one line.
LINES = (
    "plan took #.# s: input_rows=6 removed_rows=2 null_id_rows=1 list_rows=3 list_matched_ids=2 ",
    "check took #.# s: input_rows=6 removed_rows=2 removed_fraction=0.3333 max_removed_fraction=",
    "apply took #.# s: method=rewrite engine=arrow tasks=1 written_files=2 copied_files=0 removed_",
    "verify took #.# s: kept_rows=4 removed_rows=2 output_rows=4 output_bytes=#",
    "publish took #.# s: location=",
)


def test_a_log_has_a_line_of_numbers_for_each_phase_and_no_progress(tmp_path):
    small_inputs(tmp_path)
    result = console(*FLAGS, cwd=tmp_path)
    assert result.returncode == 0
    lines = [line for line in result.stderr.splitlines() if " took " in line]
    for line, expected in zip(lines, LINES, strict=True):
        pattern = re.escape(expected).replace(r"\#", r"\d+")
        assert re.search(f"INFO dedup_lib.methods.run_context: {pattern}", line), line
    assert not re.search(r"\[Stage|plan / ", result.stdout + result.stderr)
