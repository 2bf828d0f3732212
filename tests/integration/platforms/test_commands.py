"""The job as users start it: exit codes, stdout, stderr, the report; on the oldest Delta too."""

import json

import pytest

from tests.support.processes.runs import (
    FLAGS,
    KEPT,
    console,
    ids,
    report_of,
    small_inputs,
    spark_submit,
)
from tests.support.tables.made import image_rows, names_in, write_parquet

pytestmark = pytest.mark.classic("it starts processes of its own")


@pytest.fixture
def folder(tmp_path):
    return small_inputs(tmp_path)


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
        ((*FLAGS, "--engine", "arrow", "--strategy", "row-positions"), "is for --engine spark"),
        (("--config", "none.toml"), "none.toml"),
    ],
)
def test_usage_errors_are_exit_2_with_a_report_and_without_starting_spark(folder, flags, words):
    result = console(*flags, "--report", "sub/report.json", cwd=folder, JAVA_HOME="/nowhere")
    assert result.returncode == 2, result.stderr
    assert words in report_of(result)["error"]["message"]
    assert json.loads((folder / "sub/report.json").read_text()) == report_of(result)


def test_without_java_the_error_is_one_clear_line(folder):
    result = console(*FLAGS, "--run-key", "monday", cwd=folder, JAVA_HOME="/nowhere")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "Java 17" in result.stderr
    assert report_of(result)["run_key"] == "monday"


def test_help_and_version_go_to_stdout_and_end_in_0(folder):
    for flag, words in (("--help", "exit codes:"), ("--version", "remove-duplicates 0.")):
        result = console(flag, cwd=folder)
        assert result.returncode == 0
        assert words in result.stdout


def test_g16_secrets_come_out_of_a_real_process_nowhere(folder):
    location = "s3a://key:hunter2@bucket/list?sig=topsecret"
    flags = [*FLAGS[:3], location, *FLAGS[4:], "--report", "report.json", "--log-level", "DEBUG"]
    result = console(*flags, "--storage-option", "secret_key=topsecret", cwd=folder)
    assert result.returncode == 3, result.stderr
    for text in (result.stdout, result.stderr, (folder / "report.json").read_text()):
        assert "hunter2" not in text
        assert "topsecret" not in text


def test_the_job_runs_from_a_checkout_that_is_not_installed(folder):
    result = spark_submit("--version", cwd=folder)
    assert result.returncode == 0
    assert result.stdout.startswith("remove-duplicates 0.")
