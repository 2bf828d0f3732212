"""Iceberg tables as lists, and plans that are made from Iceberg tables and applied later."""

import pytest

from dedup_lib.errors import PlanMismatchError
from tests.support.tables.iceberg import head, iceberg_table, new_name, rows


def list_table(spark, values, columns):
    """A table of a list; an entry of i1, and of its keeper i2, was deleted from it."""
    name = new_name()
    deleted = ("i1", "i2")[: len(values[0])]
    frame = spark.createDataFrame([*values, deleted], columns).coalesce(1)
    properties = frame.writeTo(name).tableProperty("format-version", "3")
    properties.tableProperty("write.delete.mode", "merge-on-read").create()
    spark.sql(f"DELETE FROM {name} WHERE {frame.columns[0]} = 'i1'")
    return name


def removed(spark, path):
    found = spark.read.parquet(str(path)).select("image_id").collect()
    return {f"i{n}" for n in range(40)} - {row[0] for row in found}


def test_lists_by_name_lack_entries_that_were_deleted(spark, remove, tmp_path):
    images = iceberg_table(spark)
    listed = list_table(spark, [("i3",), ("i17",), ("unknown",)], "id string")
    protected = list_table(spark, [("i3",)], "id string")
    report = remove(images, listed, tmp_path / "out", protect_ids=(protected,))
    assert removed(spark, tmp_path / "out") == {"i17"}
    for name, found in (
        (listed, report.inputs["duplicate_ids"][0]),
        (protected, report.inputs["protect_ids"][0]),
    ):
        assert (found["location"], found["format"]) == (name, "iceberg")
        assert (found["version"], found["fingerprint"]) == (head(spark, name), None)


@pytest.mark.parametrize(
    ("kind", "values", "columns", "settings", "num_removed"),
    [
        ("keep", [("i3",), ("i4",)], "id string", {"list_kind": "keep"}, 38),
        ("pairwise", [("i3", "i17")], "id string, keeper string", {"keeper_column": "keeper"}, 1),
        ("groups", [("i3", "g"), ("i17", "g")], "id string, g string", {"group_column": "g"}, 1),
    ],
)
def test_each_kind_of_list_may_be_an_iceberg_table(
    spark, remove, kind, values, columns, settings, num_removed
):
    listed = list_table(spark, values, columns)
    limits = {"max_removed_fraction": 1.0}
    report = remove(iceberg_table(spark), listed, None, dry_run=True, **limits, **settings)
    assert report.inputs["duplicate_ids"][0]["kind"] == kind
    assert report.counts["removed_rows"] == num_removed


def test_a_plan_is_applied_to_its_own_snapshot_alone(spark, remove, listed, tmp_path):
    images = iceberg_table(spark)
    remove(images, listed, None, dry_run=True, removed_output=str(tmp_path / "plan"))
    remove(images, (), tmp_path / "out", apply_plan=str(tmp_path / "plan"))
    assert removed(spark, tmp_path / "out") == {"i3", "i17"}
    before = head(spark, images)
    rows(spark, 1, start=90).writeTo(images).append()
    with pytest.raises(PlanMismatchError, match=f"version: was {before}, is {head(spark, images)}"):
        remove(images, (), tmp_path / "again", apply_plan=str(tmp_path / "plan"))
    assert not (tmp_path / "again").exists()
