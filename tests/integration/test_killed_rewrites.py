"""Rewrites that are killed or terminated: the output is the old one, the new one, or mended."""

from pathlib import Path

import pytest

from tests.fault_cases import CASES, left_behind
from tests.processes import report_of, spark_submit, stopped_run

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
    """Each kill goes over what the one before left; then one run to the end."""
    case = CASES[name]
    case.lay_out(spark, tmp_path)
    inputs, before = case.inputs_digest(tmp_path), case.seen(spark, tmp_path)
    for place, how in STOPS[name]:
        assert case.seen(spark, tmp_path) == before
        stopped_run(place, how, *case.arguments(Path()), cwd=tmp_path)
    assert case.seen(spark, tmp_path) == SEEN[name]
    result = spark_submit(*case.arguments(Path()), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert report_of(result)["repeated"] == (SEEN[name] == "new")
    assert (case.seen(spark, tmp_path), left_behind(tmp_path)) == ("new", [])
    assert case.num_commits(spark, tmp_path) == case.commits
    assert case.inputs_digest(tmp_path) == inputs


def test_g6_a_run_that_is_terminated_puts_back_what_was_tidies_up_and_reports(spark, tmp_path):
    case = CASES["parquet overwrite"]
    case.lay_out(spark, tmp_path)
    result = stopped_run("renamed", "SIGTERM", *case.arguments(Path()), cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert report_of(result)["status"] == "failed"
    assert (case.seen(spark, tmp_path), left_behind(tmp_path)) == ("old", [])
