"""Clones and deletions in place that are killed: a retry does what is left to do, and no more."""

from pathlib import Path

import pytest

from dedup_lib import cli, run
from tests.support.faults.cases import CASES, left_behind
from tests.support.processes.runs import FLAGS, console, small_inputs, stopped_run
from tests.support.tables.made import names_in

pytestmark = pytest.mark.classic("it starts processes of its own")


def test_g7_a_clone_that_is_killed_is_made_by_the_retry(spark, tmp_path):
    """The retry is of this process, which has nothing of the killed one's."""
    case = CASES["clone"]
    case.lay_out(spark, tmp_path)
    inputs = case.inputs_digest(tmp_path)
    for place, how in [("deleted", "group"), ("verify", "SIGKILL")]:
        stopped_run(place, how, *case.arguments(Path()), cwd=tmp_path)
        assert case.seen(spark, tmp_path) == "nothing"
    assert not run(spark, cli.parse(case.arguments(tmp_path))).repeated
    assert (case.seen(spark, tmp_path), left_behind(tmp_path)) == ("new", [])
    assert case.inputs_digest(tmp_path) == inputs


@pytest.fixture
def folder(tmp_path):
    return small_inputs(tmp_path)


def test_g7_a_clone_into_the_catalog_that_is_killed_leaves_nothing_to_the_retry(folder):
    flags = (*FLAGS[:4], "--output", "unique", "--method", "clone")
    stopped_run("verify", "group", *flags, cwd=folder)
    killed = set(names_in(folder / "spark-warehouse"))
    result = console(*flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    names = set(names_in(folder / "spark-warehouse"))
    assert len(killed) == 2  # the plan, and the staged clone
    assert not killed & names
    assert {name.partition(".dedup")[0] for name in names} == {"unique", ".unique"}


def test_g7_rows_deleted_in_place_by_a_killed_run_are_found_by_the_same_key(spark, tmp_path):
    case = CASES["in place"]
    case.lay_out(spark, tmp_path)
    inputs = case.inputs_digest(tmp_path)
    for place, how, seen in [("check", "java", "old"), ("deleted", "group", "new")]:
        stopped_run(place, how, *case.arguments(Path()), cwd=tmp_path)
        assert case.seen(spark, tmp_path) == seen
    report = run(spark, cli.parse(case.arguments(tmp_path)))
    assert report.repeated
    assert report.counts["removed_rows"] == 7
    assert (case.seen(spark, tmp_path), left_behind(tmp_path)) == ("new", [])
    history = spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path}/in/table`").collect()
    assert [row["operation"] for row in history] == ["DELETE", "WRITE"]
    assert case.inputs_digest(tmp_path) == inputs
