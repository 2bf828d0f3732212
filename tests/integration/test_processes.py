"""The job as users start it: exit codes, stdout, stderr, the report; and killed runs."""

import json
import signal

import pytest

from tests import old_delta
from tests.made_tables import (
    delta_table,
    image_rows,
    names_in,
    tree_digest,
    write_list,
    write_parquet,
)
from tests.processes import console, report_of, spark_submit, stopped_run

KEPT = ["a", "c", "e", None]


@pytest.fixture
def folder(tmp_path):
    write_parquet(image_rows(["a", "b", None, "c"]), tmp_path / "in/images/1.parquet")
    write_parquet(image_rows(["d", "e"]), tmp_path / "in/images/2.parquet")
    write_list(tmp_path / "in/list/1.parquet", ["b", "d", "b"])
    write_list(tmp_path / "in/wrong.parquet", ["x", "y"])
    (tmp_path / "job.toml").write_text(
        'images = "in/images"\nduplicate_ids = ["in/list"]\noutput = "./config-out"\n'
    )
    return tmp_path


FLAGS = ("--images", "in/images", "--duplicate-ids", "in/list/", "--output", "./out")


def ids(spark, path, table_format="parquet"):
    rows = spark.read.format(table_format).load(str(path)).collect()
    return sorted((row.image_id for row in rows), key=repr)


def test_spark_submit_ends_in_one_line_of_json_and_the_right_rows(spark, folder):
    result = spark_submit(*FLAGS, "--report", "report.json", cwd=folder)
    assert result.returncode == 0, result.stderr
    report = report_of(result)
    assert report == json.loads((folder / "report.json").read_text())
    assert report["status"] == "succeeded"
    assert report["counts"] == {
        "input_rows": 6,
        "kept_rows": 4,
        "removed_rows": 2,
        "null_id_rows": 1,
        "list_rows": 3,
        "list_null_ids": 0,
        "list_distinct_ids": 2,
        "list_matched_ids": 2,
        "list_unmatched_ids": 0,
    }
    assert set(report["seconds"]) == {"plan", "check", "apply", "verify", "publish"}
    assert "publish took" in result.stderr
    assert ids(spark, folder / "out") == KEPT


def test_spark_submit_passes_the_exit_code_of_a_safety_limit_on(folder):
    flags = [*FLAGS[:3], "in/wrong.parquet", *FLAGS[4:]]
    result = spark_submit(*flags, "--report", "report.json", cwd=folder)
    assert result.returncode == 4, result.stderr
    report = json.loads((folder / "report.json").read_text())
    assert (report["status"], report["error"]["class"]) == ("failed", "NoMatchesError")
    assert report["counts"]["input_rows"] == 6
    assert names_in(folder) == ["in", "job.toml", "report.json"]


def test_the_console_script_reads_toml_and_flags_win(spark, folder):
    result = console("--config", "job.toml", "--output", "./flag-out", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert ids(spark, folder / "flag-out") == KEPT
    assert not (folder / "config-out").exists()


def test_an_output_that_exists_is_exit_5(folder):
    write_parquet(image_rows(["old"]), folder / "out/1.parquet")
    result = console(*FLAGS, cwd=folder)
    assert result.returncode == 5, result.stderr
    assert "--output-mode overwrite" in report_of(result)["error"]["message"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--imagse", "in/images"), "Did you mean '--images'?"),
        (("--duplicate-ids", "in/list", "--output", "./out"), "--images is required"),
        (("--images", "in/images", "--output", "./out"), "--duplicate-ids is required"),
        (FLAGS[:4], "--output is required"),
        ((*FLAGS, "--strategy", "magic"), "row-positions"),
        ((*FLAGS, "--max-removed-fraction", "much"), "max-removed-fraction"),
        ((*FLAGS, "--method", "in-place"), "takes no --output"),
        ((*FLAGS, "--engine", "arrow", "--run-key", "monday"), "--engine arrow is not in"),
        (("--config", "none.toml"), "none.toml"),
    ],
)
def test_usage_errors_are_exit_2_with_a_report_and_without_starting_spark(folder, flags, words):
    result = console(*flags, "--report", "sub/report.json", cwd=folder, JAVA_HOME="/nowhere")
    assert result.returncode == 2, result.stderr
    assert words in report_of(result)["error"]["message"]
    assert json.loads((folder / "sub/report.json").read_text()) == report_of(result)
    if "--run-key" in flags:
        assert report_of(result)["run_key"] == "monday"


def test_without_java_the_error_is_one_clear_line(folder):
    result = console(*FLAGS, cwd=folder, JAVA_HOME="/nowhere")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "Java 17" in result.stderr


def test_help_and_version_go_to_stdout_and_end_in_0(folder):
    for flag, words in (("--help", "exit codes:"), ("--version", "remove-duplicates 0.")):
        result = console(flag, cwd=folder)
        assert result.returncode == 0
        assert words in result.stdout


def test_secrets_come_out_nowhere(folder):
    location = "s3a://key:hunter2@bucket/list?sig=topsecret"
    flags = [*FLAGS[:3], location, *FLAGS[4:], "--report", "report.json"]
    result = console(*flags, cwd=folder)
    assert result.returncode == 3, result.stderr
    ours = [line for line in result.stderr.splitlines() if " dedup_lib" in line]
    for text in (result.stdout, *ours, (folder / "report.json").read_text()):
        assert "hunter2" not in text
        assert "topsecret" not in text


def test_the_job_runs_from_a_checkout_that_is_not_installed(folder):
    result = spark_submit("--version", cwd=folder)
    assert result.returncode == 0
    assert result.stdout.startswith("remove-duplicates 0.")


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


def test_g6_a_delta_output_is_the_old_version_or_the_new_one(spark, folder):
    spark.createDataFrame([("old",)], "image_id string").write.format("delta").save(f"{folder}/out")
    flags = (*OVERWRITE, "--output-format", "delta")
    assert ids(spark, folder / "out", "delta") == ["old"]
    result = stopped_run("committed", signal.SIGKILL, *flags, cwd=folder)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert ids(spark, folder / "out", "delta") == KEPT
    result = console(*flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert ids(spark, folder / "out", "delta") == KEPT
    assert set(names_in(folder)) - {"spark-warehouse"} == {"in", "job.toml", "out"}


CLONE = (*FLAGS, "--method", "clone")


def test_g7_a_clone_that_is_killed_is_made_by_the_retry(spark, folder):
    for place in ("deleted", "verify"):
        result = stopped_run(place, signal.SIGKILL, *CLONE, cwd=folder)
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert not (folder / "out").exists()
    result = console(*CLONE, cwd=folder)
    assert result.returncode == 0, result.stderr
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


def test_the_oldest_delta_deletes_by_merge(spark, folder):
    home = old_delta.spark_home()
    if home is None:
        pytest.skip(f"{old_delta.PACKAGE} can't be had: no network")
    result = spark_submit(*CLONE, cwd=folder, SPARK_HOME=str(home))
    assert result.returncode == 0, result.stderr
    assert ids(spark, folder / "out", "delta") == KEPT
    write_list(folder / "in/more.parquet", ["c", "b"])
    flags = ("--images", "./out", "--duplicate-ids", "in/more.parquet", "--method", "in-place")
    result = spark_submit(*flags, cwd=folder, SPARK_HOME=str(home))
    assert result.returncode == 0, result.stderr
    assert report_of(result)["counts"]["removed_rows"] == 1
    assert ids(spark, folder / "out", "delta") == ["a", "e", None]
    history = spark.sql(f"DESCRIBE HISTORY delta.`{folder}/out`").collect()
    assert [row["operation"] for row in history] == ["MERGE", "MERGE", "CLONE"]
