"""Iceberg tables as outputs: new ones, replaced ones, and those of records."""

import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import ColumnTypeError, OutputExistsError, SettingsError, UnsupportedError
from dedup_lib.iceberg import branches
from dedup_lib.session.sql_names import quoted
from tests.support.tables.iceberg import V2, head, iceberg_table, new_name, rows


def properties(spark, name):
    return {row.key: row.value for row in spark.sql(f"SHOW TBLPROPERTIES {name}").collect()}


def refs(spark, name):
    return {row["name"] for row in spark.table(f"{name}.refs").collect()}


def same_rows(found, expected):
    return sorted(found.collect()) == sorted(expected.collect())


@pytest.mark.parametrize("source", ["parquet", "delta", "iceberg"])
def test_a_new_table_has_the_kept_rows_and_one_branch(spark, remove, listed, tmp_path, source):
    images = rows(spark, 40)
    if source == "iceberg":
        name = iceberg_table(spark, spec="PARTITIONED BY (shard)")
    else:
        name = tmp_path / source
        images.write.format(source).partitionBy("shard").save(str(name))
    output = new_name()
    report = remove(name, listed, output)
    expected = images.where("image_id NOT IN ('i3', 'i17')").select(
        "image_id", "image", F.col("shard").cast("string" if source == "parquet" else "int")
    )
    assert same_rows(spark.table(output), expected)
    assert refs(spark, output) == {"main"}
    assert report.output["format"] == "iceberg"
    assert report.output["version"] == head(spark, output)
    assert report.bytes["output"] > 0
    found = properties(spark, output)
    assert found["format-version"] == ("3" if source == "iceberg" else "2")
    assert found["write.delete.mode"] == "merge-on-read"
    assert found["write.metadata.metrics.column.image"] == "none"
    assert not [key for key in found if key.startswith(("option.", "dedup-"))]
    partitions = spark.table(f"{output}.partitions").select("partition.shard").collect()
    assert {str(row.shard) for row in partitions} == {"0", "1", "2"}
    summary = spark.table(f"{output}.snapshots").collect()[-1].summary
    assert f'"run": "{report.run}"' in summary["dedup-run"]


@pytest.mark.parametrize("action", ["annotate", "extract"])
@pytest.mark.parametrize("output_format", ["iceberg", "delta"])
def test_other_actions(spark, remove, listed, tmp_path, action, output_format):
    name = iceberg_table(spark)
    output = new_name() if output_format == "iceberg" else tmp_path / "out"
    remove(name, listed, output, action=action, output_format=output_format)
    written = spark.table(output) if output_format == "iceberg" else None
    written = written or spark.read.format("delta").load(str(output))
    gone = written.where("is_duplicate") if action == "annotate" else written
    assert {row.image_id for row in gone.collect()} == {"i3", "i17"}
    assert written.count() == (40 if action == "annotate" else 2)


def test_layout_and_odd_names_are_kept(spark, remove, tmp_path, listed):
    name = new_name()
    spark.sql(
        f"CREATE TABLE {name} (image_id STRING NOT NULL COMMENT 'the id', `a b.c, d``e` INT, "
        "image BINARY, s STRUCT<`x y`: INT NOT NULL, pixels: BINARY>, l ARRAY<STRING>, ts TIMESTAMP"
        ") USING iceberg PARTITIONED BY (bucket(4, image_id), truncate(10, `a b.c, d``e`), "
        "days(ts)) TBLPROPERTIES ('write.distribution-mode' = 'range')"
    )
    odd = quoted("a b.c, d`e")
    spark.sql(
        f"ALTER TABLE {name} WRITE LOCALLY ORDERED BY {odd} DESC NULLS LAST, "
        "truncate(3, image_id), s.`x y`"
    )
    spark.sql(f"ALTER TABLE {name} SET IDENTIFIER FIELDS image_id")
    spark.sql(
        f"INSERT INTO {name} SELECT concat('i', id), CAST(id AS INT), encode('x', 'utf-8'), "
        "named_struct('x y', 1, 'pixels', encode('y', 'utf-8')), array('z'), "
        "timestamp_seconds(id * 50000) FROM range(20)"
    )
    output = new_name().replace("ice.db.", "ice.db.`odd` ").replace(" ", "")
    remove(name, listed, output)
    described = [spark.sql(f"DESCRIBE TABLE {table}").collect() for table in (name, output)]
    assert described[0] == described[1]
    assert spark.table(output).schema == spark.table(name).schema
    before, after = properties(spark, name), properties(spark, output)
    for key in ("sort-order", "identifier-fields", "write.distribution-mode"):
        assert after[key] == before[key]
    assert after["write.metadata.metrics.column.s.pixels"] == "none"
    assert same_rows(spark.table(output), spark.table(name).where("image_id NOT IN ('i3', 'i17')"))


def test_an_existing_table_is_replaced_in_one_commit(spark, remove, listed):
    name, output = iceberg_table(spark), iceberg_table(spark, 7, V2, spec="PARTITIONED BY (shard)")
    with pytest.raises(OutputExistsError):
        remove(name, listed, output)
    before = head(spark, output)
    report = remove(name, listed, output, output_mode="overwrite")
    assert spark.table(output).count() == 38
    assert report.output["previous_version"] == before
    snapshots = spark.table(f"{output}.snapshots").collect()
    assert [row.parent_id for row in snapshots] == [None, before]
    assert refs(spark, output) == {"main"}
    assert spark.read.option("snapshot-id", before).table(output).count() == 7
    spark.sql(branches.rollback(output, before)).collect()
    assert spark.table(output).count() == 7
    other = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {other} ADD COLUMN more INT")
    with pytest.raises(UnsupportedError, match="more"):
        remove(name, listed, other, output_mode="overwrite")
    assert refs(spark, other) == {"main"}


def test_records_and_metrics(spark, remove, listed):
    name, output = iceberg_table(spark), new_name()
    removed, unmatched, metrics = new_name(), new_name(), new_name()
    for mode in ("error", "overwrite"):
        remove(
            name,
            listed,
            output,
            output_mode=mode,
            removed_output=removed,
            unmatched_output=unmatched,
            metrics_output=metrics,
        )
    assert {row.image_id for row in spark.table(removed).collect()} == {"i3", "i17"}
    assert spark.table(unmatched).count() == 1
    assert spark.table(metrics).count() == 2
    assert [row.operation for row in spark.table(f"{metrics}.snapshots").collect()] == (
        ["append", "append"]
    )


def test_what_iceberg_can_not_keep_is_refused(spark, remove, listed, tmp_path):
    images = rows(spark, 3)
    for column in ("CAST(1 AS TINYINT) AS small", "1 AS _pos"):
        path = tmp_path / column.rpartition(" ")[2]
        images.selectExpr("*", column).write.parquet(str(path))
        output = new_name()
        with pytest.raises(ColumnTypeError, match=path.name):
            remove(path, listed, output, allow_no_matches=True)
        assert not spark.catalog.tableExists(output)
    with pytest.raises(SettingsError, match="catalog"):
        remove(tmp_path / "small", listed, tmp_path / "out", output_format="iceberg")
    with pytest.raises(SettingsError, match="branch"):
        remove(tmp_path / "small", listed, f"{iceberg_table(spark)}.branch_x")
    with pytest.raises(UnsupportedError, match="CREATE SCHEMA"):
        remove(tmp_path / "small", listed, "ice.nowhere.t")
