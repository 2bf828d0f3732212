"""A clone of an Iceberg table is a verified branch, which a person publishes."""

import pytest

from dedup_lib.errors import OutputExistsError, SettingsError, UnsupportedError
from dedup_lib.iceberg import branch
from dedup_lib.methods.run_context import RunContext
from tests.support.faults.in_process import StoppedError
from tests.support.tables.iceberg import V3, head, iceberg_table, refs


def test_the_branch_waits_and_the_printed_command_publishes_it(spark, remove, listed):
    name = iceberg_table(spark)
    before = head(spark, name)
    output = f"{name}.`branch_review me`"
    report = remove(name, listed, output, method="clone", run_key="k")
    assert refs(spark, name) == ["main", "review me"]
    assert (head(spark, name), spark.table(name).count()) == (before, 40)
    assert report.output["version"] == head(spark, name, "review me")
    assert report.counts["kept_rows"] == spark.table(output).count() == 38
    assert remove(name, listed, output, method="clone", run_key="k").repeated
    with pytest.raises(OutputExistsError, match="exists"):
        remove(name, listed, output, method="clone")
    spark.sql(report.output["publish"])
    assert head(spark, name) == report.output["version"]


def test_a_plan_without_rows_makes_a_branch_that_can_be_published(spark, remove, listed, caplog):
    name = iceberg_table(spark)
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i3', 'i17')")
    given = {"method": "clone", "allow_no_matches": True, "run_key": "k"}
    with caplog.at_level("INFO"):
        report = remove(name, listed, f"{name}.branch_b", **given)
    assert "nothing is to be removed" in caplog.text
    assert (report.counts["removed_rows"], report.output["deletion_vectors"]) == (0, 0)
    assert head(spark, name, "b") == report.output["version"] != head(spark, name)
    again = remove(name, listed, f"{name}.branch_b", **given)
    assert (again.repeated, again.output["version"]) == (True, report.output["version"])
    spark.sql(report.output["publish"])
    assert (spark.table(name).count(), head(spark, name)) == (38, report.output["version"])


def test_a_branch_that_a_dead_run_left_half_made_is_dropped(spark, remove, listed, monkeypatch):
    name, given = iceberg_table(spark), {"method": "clone", "run_key": "k"}

    def stop(*_):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(branch, "drop", lambda *_: None)
        patch.setattr(RunContext, "keep_records", stop)
        with pytest.raises(StoppedError):
            remove(name, listed, f"{name}.branch_b", **given)
    (left,) = set(refs(spark, name)) - {"main"}
    assert left != "b"
    assert not remove(name, listed, f"{name}.branch_b", **given).repeated
    assert refs(spark, name) == ["b", "main"]


@pytest.mark.parametrize(
    ("output", "more", "error", "words"),
    [
        ("ice.db.other", {}, UnsupportedError, "is a branch of this table"),
        ("{}.branch_b", {"purge": True}, UnsupportedError, "--purge needs --method in-place"),
        ("{}.branch_b", {"method": "rewrite"}, SettingsError, "is a branch or tag"),
    ],
)
def test_what_can_not_be_a_branch_of_the_table_is_refused(
    spark, remove, listed, output, more, error, words
):
    name = iceberg_table(spark, properties=V3)
    with pytest.raises(error, match=words):
        remove(name, listed, output.format(name), **{"method": "clone"} | more)
    assert refs(spark, name) == ["main"]
