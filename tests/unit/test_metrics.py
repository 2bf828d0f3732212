"""The row that a report comes to."""

from datetime import UTC, datetime

from dedup_lib.errors import NoMatchesError
from dedup_lib.metrics import COLUMNS, SCHEMA, row_of
from dedup_lib.report import COUNTS, PHASES, Report
from dedup_lib.settings import DuplicateIds, Settings


def described(**settings):
    report = Report(run="r1")
    report.describe(
        Settings(images="./i", duplicate_ids=(DuplicateIds("./d"),), output="./o", **settings)
    )
    return report


def row(report, **options):
    return row_of(report.as_dict(), **({"dry_run": False} | options))


def test_a_row_has_a_value_for_each_column_and_no_other():
    report = described(run_key="monday")
    report.finish("succeeded")
    assert row(report).keys() == COLUMNS.keys() == set(SCHEMA.names)


def test_every_count_and_every_phase_has_a_column_of_its_type():
    types = {field.name: field.dataType.simpleString() for field in SCHEMA}
    assert {types[name] for name in COUNTS} == {"bigint"}
    assert {types[f"{name}_seconds"] for name in PHASES} == {"double"}
    assert set(Report().counts) == set(COUNTS)
    assert all(field.nullable and field.metadata["comment"] for field in SCHEMA)


def test_a_row_says_what_the_report_says():
    report = described(run_key="monday", method="clone")
    report.counts |= {"input_rows": 3, "kept_rows": 2, "removed_rows": 1}
    report.bytes |= {"input": 30, "output": 0}
    report.seconds |= {"plan": 1.5}
    report.output["version"] = 7
    report.finish("succeeded")
    found = row(report)
    assert (found["run"], found["status"], found["run_key"]) == ("r1", "succeeded", "monday")
    assert (found["method"], found["action"], found["engine"]) == ("clone", "remove", None)
    assert (found["input_rows"], found["kept_rows"], found["removed_rows"]) == (3, 2, 1)
    assert (found["input_bytes"], found["output_bytes"]) == (30, 0)
    assert (found["plan_seconds"], found["apply_seconds"]) == (1.5, None)
    assert (found["images"], found["output"], found["output_version"]) == ("./i", "./o", 7)
    assert found["dedup_lib_version"] == report.versions["dedup_lib"]
    assert found["total_seconds"] == report.total_seconds


def test_times_are_of_utc_and_in_order():
    before = datetime.now(UTC)
    report = described()
    report.finish("dry_run")
    found = row(report, dry_run=True)
    assert before <= found["started_at"] <= found["finished_at"] <= datetime.now(UTC)
    assert found["started_at"].utcoffset().total_seconds() == 0
    assert found["dry_run"] is True


def test_a_row_of_a_failed_run_has_the_error_without_secrets():
    report = described(storage_option=("secret_key=s3cr3tV4lue",))
    report.fail(NoMatchesError("no match in s3a://user:pw@b/x s3cr3tV4lue"))
    found = row(report)
    assert (found["status"], found["error_class"]) == ("failed", "NoMatchesError")
    assert found["error_message"] == "no match in s3a://***@b/x ***"


def test_a_row_without_an_output_names_none():
    report = Report(run="r1")
    report.describe(Settings(images="./i", duplicate_ids=(DuplicateIds("./d"),), dry_run=True))
    report.finish("dry_run")
    assert (row(report)["output"], row(report)["output_version"]) == (None, None)
