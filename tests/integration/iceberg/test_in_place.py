"""In place: rows are deleted on a branch, verified there, and then published in one step."""

from pathlib import Path

import pytest

from dedup_lib.errors import UnsupportedError
from tests.support.tables.iceberg import V2, V3, head, iceberg_table, refs
from tests.support.tables.made import write_list


@pytest.mark.parametrize("properties", [V2, V3], ids=["v2", "v3"])
def test_exactly_the_planned_rows_are_hidden(spark, remove_here, listed, properties):
    name = iceberg_table(spark, properties=properties)
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i3', 'i5')")
    spark.sql(f"INSERT INTO {name} VALUES ('i3', X'00', 1), (NULL, X'01', 2)")
    expected = spark.table(name).where("image_id IS NULL OR image_id NOT IN ('i3', 'i17')")
    before = head(spark, name)
    expected = sorted(expected.collect(), key=str)
    report = remove_here(name, listed)
    assert sorted(spark.table(name).collect(), key=str) == expected
    assert (report.counts["input_rows"], report.counts["removed_rows"]) == (40, 2)
    assert report.output["version"] == head(spark, name) != before
    assert report.output["deletion_vectors"] == 2
    assert refs(spark, name) == ["main"]
    spark.sql(report.output["undo"])
    assert (head(spark, name), spark.table(name).count()) == (before, 40)


def test_a_plan_without_rows_makes_no_snapshot(spark, remove_here, tmp_path):
    name = iceberg_table(spark)
    before = head(spark, name)
    nothing = write_list(tmp_path / "nothing", ["unknown"])
    report = remove_here(name, nothing, allow_no_matches=True)
    assert (report.output["version"], report.counts["kept_rows"]) == (None, 40)
    assert (head(spark, name), refs(spark, name)) == (before, ["main"])


def test_copy_on_write_is_refused_and_switched_off_only_when_asked(spark, remove_here, listed):
    name = iceberg_table(spark, properties={"format-version": "2"})
    before = head(spark, name)
    with pytest.raises(UnsupportedError, match="--enable-deletion-vectors"):
        remove_here(name, listed)
    assert head(spark, name) == before
    files = spark.table(f"{name}.data_files").select("file_path").collect()
    remove_here(name, listed, enable_deletion_vectors=True)
    assert spark.table(f"{name}.data_files").select("file_path").collect() == files
    properties = {
        row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
    }
    assert properties["write.delete.mode"] == "merge-on-read"
    assert properties["format-version"] == "2"
    assert spark.table(name).count() == 38


def test_version_1_a_branch_and_a_session_without_extensions_are_refused(
    spark, remove_here, listed, monkeypatch
):
    name = iceberg_table(spark, properties={"format-version": "1"})
    with pytest.raises(UnsupportedError, match="format version 1"):
        remove_here(name, listed, enable_deletion_vectors=True)
    spark.sql(f"ALTER TABLE {name} CREATE BRANCH other")
    with pytest.raises(UnsupportedError, match="is a branch or tag"):
        remove_here(f"{name}.branch_other", listed)
    name = iceberg_table(spark)
    monkeypatch.setattr("dedup_lib.iceberg.bad_tables.get_setting", lambda *_: None)
    with pytest.raises(UnsupportedError, match=r"spark\.sql\.extensions="):
        remove_here(name, listed)


def test_a_newer_format_version_than_the_runtimes_is_refused(spark, remove_here, listed):
    name = iceberg_table(spark, None)
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").where("col_name = 'Location'")
    metadata = Path(described.collect()[0]["data_type"].removeprefix("file:")) / "metadata"
    (metadata / ".v1.metadata.json.crc").unlink()
    path = metadata / "v1.metadata.json"
    path.write_text(path.read_text().replace('"format-version":3', '"format-version":99'))
    with pytest.raises(UnsupportedError, match="use a newer one"):
        remove_here(name, listed)


def test_a_name_without_its_catalog_is_that_of_the_current_one(spark, remove_here, listed):
    name = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {name} CREATE BRANCH main2")
    spark.sql("USE ice.db")
    try:
        short = name.rpartition(".")[2]
        with pytest.raises(UnsupportedError, match="a branch or tag"):
            remove_here(f"{short}.branch_main2", listed)
        report = remove_here(short, listed, purge=True)
    finally:
        spark.sql("USE spark_catalog.default")
    assert spark.table(name).count() == 38
    assert "`ice`.`db`" in report.output["undo"]
    assert report.purge["removed_files"] == 1
