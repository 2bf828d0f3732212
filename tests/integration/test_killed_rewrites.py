"""Rewrites that are killed or terminated: the output is the old one, the new one, or mended."""

import signal

import pytest

from tests.made_tables import image_rows, names_in, tree_digest, write_parquet
from tests.processes import FLAGS, KEPT, console, ids, report_of, small_inputs, stopped_run


@pytest.fixture
def folder(tmp_path):
    return small_inputs(tmp_path)


OVERWRITE = (*FLAGS, "--output-mode", "overwrite")


def test_g6_a_parquet_run_killed_in_any_phase_leaves_the_old_output_or_one_that_is_mended(
    spark, folder
):
    """One kill in each phase, each over what the one before left; then one run to the end."""
    write_parquet(image_rows(["old"]), folder / "out/1.parquet")
    before = tree_digest(folder / "out")
    for place in ("plan", "check", "apply", "verify"):
        result = stopped_run(place, signal.SIGKILL, *OVERWRITE, cwd=folder)
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert tree_digest(folder / "out") == before
    result = stopped_run("renamed", signal.SIGKILL, *OVERWRITE, cwd=folder)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert not (folder / "out").exists()
    result = console(*OVERWRITE, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert ids(spark, folder / "out") == KEPT
    assert names_in(folder) == ["in", "job.toml", "out"]


def test_g6_a_run_that_is_terminated_tidies_up_and_reports(folder):
    write_parquet(image_rows(["old"]), folder / "out/1.parquet")
    before = tree_digest(folder / "out")
    result = stopped_run("renamed", signal.SIGTERM, *OVERWRITE, cwd=folder)
    assert result.returncode == 1, result.stderr
    assert report_of(result)["status"] == "failed"
    assert tree_digest(folder / "out") == before
    assert names_in(folder) == ["in", "job.toml", "out"]


def test_g6_a_fresh_output_is_not_there_when_its_run_is_killed(folder):
    result = stopped_run("verify", signal.SIGKILL, *FLAGS, cwd=folder)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert not (folder / "out").exists()


def test_g6_a_delta_output_is_the_old_version_or_the_new_one(spark, remove, folder):
    spark.createDataFrame([("old",)], "image_id string").write.format("delta").save(f"{folder}/out")
    flags = (*OVERWRITE, "--output-format", "delta")
    assert ids(spark, folder / "out", "delta") == ["old"]
    result = stopped_run("committed", signal.SIGKILL, *flags, cwd=folder)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert ids(spark, folder / "out", "delta") == KEPT
    retried = {"output_mode": "overwrite", "output_format": "delta"}
    remove(folder / "in/images", folder / "in/list", folder / "out", **retried)
    assert ids(spark, folder / "out", "delta") == KEPT
    assert set(names_in(folder)) - {"spark-warehouse"} == {"in", "job.toml", "out"}
