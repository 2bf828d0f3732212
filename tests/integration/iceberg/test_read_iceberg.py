"""Iceberg image tables: pinned to one snapshot, read under the current schema."""

import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import (
    InputChangedError,
    NoImageRowsError,
    TableNotFoundError,
    UnsupportedError,
)
from dedup_lib.iceberg.detail import read_detail, reader_options
from dedup_lib.methods import rewrite
from dedup_lib.session.conf import session_settings
from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.iceberg import V2, V3, head, iceberg_table, rows


def ids(spark, path):
    return sorted(row[0] for row in spark.read.parquet(str(path)).select("image_id").collect())


def test_tasks_are_as_large_as_for_other_tables(spark, remove, listed, tmp_path):
    """By itself Iceberg makes tasks of 16 MB to 128 MB, most of which would find no ID."""
    for start in range(6):
        one = rows(spark, 1, start=start).coalesce(1)
        one.write.mode("append").parquet(str(tmp_path / "taken"))
    name = iceberg_table(spark, None)
    spark.sql(
        f"CALL ice.system.add_files('{name[4:]}', '`parquet`.`{tmp_path}/taken`')"
    ).collect()  # its summary says 0 bytes
    detail = read_detail(spark, name)
    sizes = [path.stat().st_size for path in tmp_path.glob("taken/*.parquet")]
    weight = sum(sizes) + len(sizes) * 4 * 1024**2
    assert reader_options(spark, detail)["split-size"] == str(-(-weight // 2))
    newest = newest_stage(spark)
    report = remove(name, listed, None, dry_run=True)
    assert report.counts["input_rows"] == len(sizes) == 6
    assert max(stage.numTasks() for stage in stages_since(spark, newest)) == 2
    for target, num_files in ((None, 2), ("4mb", 5)):
        out = tmp_path / f"out-{target}"
        remove(name, listed, out, target_file_size=target)
        assert len(list(out.glob("*.parquet"))) == num_files


@pytest.mark.parametrize("properties", [V2, V3], ids=["v2", "v3"])
@pytest.mark.parametrize("strategy", ["broadcast-ids", "row-positions"])
def test_hidden_rows_stay_hidden_and_listed_rows_go(
    spark, remove, listed, tmp_path, properties, strategy
):
    name = iceberg_table(spark, properties=properties, spec="PARTITIONED BY (shard)")
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i5', 'i6')")
    expected = spark.table(name).where("image_id NOT IN ('i3', 'i17')")
    report = remove(name, listed, tmp_path / "out", strategy=strategy)
    written = spark.read.parquet(str(tmp_path / "out"))
    assert sorted(written.collect()) == sorted(expected.collect())
    assert written.columns == ["image_id", "image", "shard"]
    assert report.counts["input_rows"] == 38
    assert report.counts["removed_rows"] == 2
    assert report.inputs["images"]["format"] == "iceberg"
    assert report.inputs["images"]["version"] == head(spark, name)
    sizes = spark.table(f"{name}.files").where("content = 0").agg(F.sum("file_size_in_bytes"))
    assert report.bytes["input"] == sizes.collect()[0][0]


def test_a_column_is_found_by_its_field_whatever_its_name_was(spark, remove, listed, tmp_path):
    name = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN image_id TO id")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN image_id STRING")
    report = remove(name, listed, tmp_path / "out", image_id_column="id")
    assert report.counts["removed_rows"] == 2
    assert spark.read.parquet(str(tmp_path / "out")).where("image_id IS NOT NULL").count() == 0


def test_a_branch_and_a_tag_are_read_by_sparks_own_names(spark, remove, listed, tmp_path):
    name = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {name} CREATE TAG `first day`")
    spark.sql(f"ALTER TABLE {name} CREATE BRANCH more")
    rows(spark, 5, start=100).writeTo(f"{name}.branch_more").append()
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    for ref, num_rows in {"branch_more": 45, "`tag_first day`": 40, "branch_main": 39}.items():
        report = remove(f"{name}.{ref}", listed, None, dry_run=True)
        assert report.counts["input_rows"] == num_rows
        found = head(spark, name, ref.strip("`").partition("_")[2])
        assert report.inputs["images"]["version"] == found
    with pytest.raises(TableNotFoundError, match="other"):
        remove(f"{name}.branch_other", listed, None, dry_run=True)


def test_a_table_without_a_snapshot_has_no_rows(spark, remove, listed):
    name = iceberg_table(spark, None)
    assert head(spark, name) is None
    with pytest.raises(NoImageRowsError, match="has no rows"):
        remove(name, listed, None, dry_run=True)


def test_a_name_of_the_catalog_without_a_table_is_no_table(spark, remove, listed):
    with pytest.raises(TableNotFoundError, match=r"ice\.db\.nothing"):
        remove("ice.db.nothing", listed, None, dry_run=True)


@pytest.mark.parametrize("key", ["spark.wap.branch", "spark.wap.id"])
def test_settings_that_redirect_reads_are_refused(spark, remove, listed, key):
    name = iceberg_table(spark, properties=V3 | {"write.wap.enabled": "true"})
    with session_settings(spark, {key: "x"}), pytest.raises(UnsupportedError, match=key):
        remove(name, listed, None, dry_run=True)


def test_columns_that_change_while_a_run_is_at_work_end_it(
    spark, remove, listed, tmp_path, monkeypatch
):
    """Images are read under the current columns: without the check, one would be missing."""
    name, settings_for = iceberg_table(spark), rewrite.settings_for

    def drop_first(*arguments, **named):
        spark.sql(f"ALTER TABLE {name} DROP COLUMN image")
        return settings_for(*arguments, **named)

    monkeypatch.setattr(rewrite, "settings_for", drop_first)
    with pytest.raises(InputChangedError, match="columns"):
        remove(name, listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
