"""Rewrites that are killed or terminated: the output is the old one, the new one, or mended."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from dedup_lib import cli
from dedup_lib import run as run_here
from tests.support.faults.cases import CASES, check_done, left_behind
from tests.support.paths import ROOT
from tests.support.processes.runs import (
    SPARK_SUBMIT,
    ids,
    report_of,
    run,
    spark_submit,
    stopped_run,
)
from tests.support.tables.made import image_rows, tree_digest, write_list, write_parquet

pytestmark = pytest.mark.classic("it starts processes of its own")

STOPS = {
    "parquet error": [("plan", "group"), ("apply", "SIGKILL"), ("verify", "java")],
    "parquet overwrite": [("check", "group"), ("apply", "group"), ("renamed", "group")],
    "parquet overwrite, spark": [("apply", "java"), ("publish", "group")],
    "delta rewrite": [("apply", "group"), ("verify", "SIGKILL")],
    "delta overwrite": [("check", "java"), ("committed", "group")],
}
# What readers see after the last stop.
SEEN = {
    "parquet error": "nothing",
    "parquet overwrite": "nothing",  # between the two renames
    "parquet overwrite, spark": "new",
    "delta rewrite": "nothing",
    "delta overwrite": "new",
}


@pytest.mark.parametrize("name", STOPS)
def test_g6_g7_a_killed_rewrite_leaves_the_old_or_the_new_and_the_retry_converges(
    spark, tmp_path, name
):
    """Each kill goes over what the one before left; then one run, in this process, to the end."""
    case = CASES[name]
    case.lay_out(spark, tmp_path)
    inputs, before = case.inputs_digest(tmp_path), case.seen(spark, tmp_path)
    for place, how in STOPS[name]:
        assert case.seen(spark, tmp_path) == before
        stopped_run(place, how, *case.arguments(Path()), cwd=tmp_path)
    assert case.seen(spark, tmp_path) == SEEN[name]
    assert run_here(spark, cli.parse(case.arguments(tmp_path))).repeated == (SEEN[name] == "new")
    check_done(spark, case, tmp_path, inputs)


def test_g6_a_run_that_is_terminated_puts_back_what_was_tidies_up_and_reports(spark, tmp_path):
    case = CASES["parquet overwrite"]
    case.lay_out(spark, tmp_path)
    result = stopped_run("renamed", "SIGTERM", *case.arguments(Path()), cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert report_of(result)["status"] == "failed"
    assert (case.seen(spark, tmp_path), left_behind(tmp_path)) == ("old", [])


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g6_a_process_that_may_write_no_large_file_leaves_the_old_output(spark, tmp_path, engine):
    """As a full disk does, and without the rights that it takes to mount one."""
    rows = image_rows(["a", "b", "c"])
    images = pa.array([os.urandom(1_000_000) for _ in range(3)])
    write_parquet(rows.set_column(1, "image", images), tmp_path / "in/images/1.parquet")
    write_list(tmp_path / "in/list/1.parquet", ["b"])
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    before = tree_digest(tmp_path)
    flags = ("--images", "in/images", "--duplicate-ids", "in/list/", "--output", "./out")
    flags = (*flags, "--output-mode", "overwrite", "--engine", engine)
    limited = ["bash", "-c", 'ulimit -f 1000; exec "$@"', "-", *SPARK_SUBMIT]
    result = run([*limited, ROOT / "jobs/remove_duplicates.py", *flags], cwd=tmp_path)
    assert report_of(result)["error"]["class"] == "DiskFullError"
    assert result.returncode == 5
    assert tree_digest(tmp_path) == before
    assert spark_submit(*flags, cwd=tmp_path).returncode == 0
    assert ids(spark, tmp_path / "out") == ["a", "c"]
