"""A clone of an Iceberg table is a verified branch, which a person publishes."""

import pytest

from dedup_lib.errors import OutputExistsError, SettingsError, UnsupportedError
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


def test_a_plan_without_rows_makes_a_branch_like_main(spark, remove, tmp_path, listed):
    name = iceberg_table(spark)
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i3', 'i17')")
    report = remove(name, listed, f"{name}.branch_b", method="clone", allow_no_matches=True)
    assert head(spark, name, "b") == head(spark, name) == report.output["version"]


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
