"""Clones and deletions in place that are killed: a retry does what is left to do, and no more."""

import signal

import pytest

from tests.made_tables import delta_table, names_in
from tests.processes import FLAGS, KEPT, console, ids, report_of, small_inputs, stopped_run


@pytest.fixture
def folder(tmp_path):
    return small_inputs(tmp_path)


CLONE = (*FLAGS, "--method", "clone")


def test_g7_a_clone_that_is_killed_is_made_by_the_retry(spark, remove, folder):
    for place in ("deleted", "verify"):
        result = stopped_run(place, signal.SIGKILL, *CLONE, cwd=folder)
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert not (folder / "out").exists()
    remove(folder / "in/images", folder / "in/list", folder / "out", method="clone")
    assert ids(spark, folder / "out", "delta") == KEPT
    assert set(names_in(folder)) - {"spark-warehouse"} == {"in", "job.toml", "out"}


def test_g7_a_clone_into_the_catalog_that_is_killed_leaves_nothing_to_the_retry(folder):
    flags = (*FLAGS[:4], "--output", "unique", "--method", "clone")
    result = stopped_run("verify", signal.SIGKILL, *flags, cwd=folder)
    assert result.returncode == -signal.SIGKILL, result.stderr
    killed = set(names_in(folder / "spark-warehouse"))
    result = console(*flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    names = set(names_in(folder / "spark-warehouse"))
    assert len(killed) == 2  # the plan, and the staged clone
    assert not killed & names
    assert {name.partition(".dedup")[0] for name in names} == {"unique", ".unique"}


def test_g7_rows_deleted_in_place_by_a_killed_run_are_found_by_the_same_key(spark, folder):
    images = spark.read.parquet(str(folder / "in/images"))
    table = delta_table(images, folder / "in/delta", enableDeletionVectors="true")
    flags = ("--images", "in/delta", *FLAGS[2:4], "--method", "in-place", "--run-key", "monday")
    result = stopped_run("deleted", signal.SIGKILL, *flags, cwd=folder)
    assert result.returncode == -signal.SIGKILL, result.stderr
    result = console(*flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    report = report_of(result)
    assert (report["repeated"], report["run_key"]) == (True, "monday")
    assert report["counts"]["removed_rows"] == 2
    history = spark.sql(f"DESCRIBE HISTORY delta.`{table}`").collect()
    assert [row["operation"] for row in history] == ["DELETE", "WRITE"]
    assert ids(spark, table, "delta") == KEPT
