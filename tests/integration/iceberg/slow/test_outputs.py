"""Iceberg tables as outputs: new ones, replaced ones, and those of records."""

import pytest
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    ColumnTypeError,
    ConflictError,
    OutputExistsError,
    SettingsError,
    UnsupportedError,
)
from dedup_lib.iceberg import branch, output, row_groups, target_table
from dedup_lib.publish import workspace
from dedup_lib.session.conf import session_settings
from dedup_lib.session.sql_names import quoted
from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.iceberg import V2, dead_name, head, iceberg_table, new_name, rows


@pytest.fixture(autouse=True)
def _schema(spark):
    spark.sql("CREATE SCHEMA IF NOT EXISTS ice.db")


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
    made = new_name()
    report = remove(name, listed, made)
    expected = images.where("image_id NOT IN ('i3', 'i17')").select(
        "image_id", "image", F.col("shard").cast("string" if source == "parquet" else "int")
    )
    assert same_rows(spark.table(made), expected)
    assert refs(spark, made) == {"main"}
    assert report.output["format"] == "iceberg"
    assert report.output["version"] == head(spark, made)
    assert report.bytes["output"] > 0
    found = properties(spark, made)
    assert found["format-version"] == ("3" if source == "iceberg" else "2")
    assert found["write.delete.mode"] == "merge-on-read"
    assert found["write.metadata.metrics.column.image"] == "none"
    assert not [key for key in found if key.startswith(("option.", "dedup-"))]
    partitions = spark.table(f"{made}.partitions").select("partition.shard").collect()
    assert {str(row.shard) for row in partitions} == {"0", "1", "2"}
    summary = spark.table(f"{made}.snapshots").collect()[-1].summary
    assert f'"run": "{report.run}"' in summary["dedup-run"]


@pytest.mark.parametrize("action", ["annotate", "extract"])
@pytest.mark.parametrize("output_format", ["iceberg", "delta"])
def test_other_actions(spark, remove, listed, tmp_path, action, output_format):
    name = iceberg_table(spark)
    made = new_name() if output_format == "iceberg" else tmp_path / "out"
    remove(name, listed, made, action=action, output_format=output_format)
    written = spark.table(made) if output_format == "iceberg" else None
    written = written or spark.read.format("delta").load(str(made))
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
    made = f"ice.db.`odd {new_name()}`"
    remove(name, listed, made)
    described = [spark.sql(f"DESCRIBE TABLE {table}").collect() for table in (name, made)]
    assert described[0] == described[1]
    assert spark.table(made).schema == spark.table(name).schema
    before, after = properties(spark, name), properties(spark, made)
    for key in ("sort-order", "identifier-fields", "write.distribution-mode"):
        assert after[key] == before[key]
    assert after["write.metadata.metrics.column.s.pixels"] == "none"
    assert same_rows(spark.table(made), spark.table(name).where("image_id NOT IN ('i3', 'i17')"))


def test_an_existing_table_is_replaced_in_one_commit(spark, remove, listed):
    name, made = iceberg_table(spark), iceberg_table(spark, 7, V2, spec="PARTITIONED BY (shard)")
    with pytest.raises(OutputExistsError):
        remove(name, listed, made)
    before = head(spark, made)
    report = remove(name, listed, made, output_mode="overwrite")
    assert spark.table(made).count() == 38
    assert report.output["previous_version"] == before
    snapshots = spark.table(f"{made}.snapshots").collect()
    assert [row.parent_id for row in snapshots] == [None, before]
    assert refs(spark, made) == {"main"}
    assert spark.read.option("snapshot-id", before).table(made).count() == 7
    spark.sql(f"CALL ice.system.rollback_to_snapshot('{made}', {before})").collect()
    assert spark.table(made).count() == 7
    other = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {other} ADD COLUMN more INT")
    with pytest.raises(UnsupportedError, match="more"):
        remove(name, listed, other, output_mode="overwrite")
    assert refs(spark, other) == {"main"}


def test_records_and_metrics(spark, remove, listed):
    name, made = iceberg_table(spark), new_name()
    removed, unmatched, metrics = new_name(), new_name(), new_name()
    for mode in ("error", "overwrite"):
        remove(
            name,
            listed,
            made,
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
        made = new_name()
        with pytest.raises(ColumnTypeError, match=path.name):
            remove(path, listed, made, allow_no_matches=True)
        assert not spark.catalog.tableExists(made)
    with pytest.raises(SettingsError, match="catalog"):
        remove(tmp_path / "small", listed, tmp_path / "out", output_format="iceberg")
    with pytest.raises(SettingsError, match="branch"):
        remove(tmp_path / "small", listed, f"{iceberg_table(spark)}.branch_x")
    with pytest.raises(UnsupportedError, match="CREATE SCHEMA"):
        remove(tmp_path / "small", listed, "ice.nowhere.t")


class Killed(BaseException):
    """Ends a run like a kill."""


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("step", ["write", "publish"])
def test_a_killed_run_leaves_what_the_next_run_replaces(
    spark, remove, listed, monkeypatch, is_new, step
):
    name = iceberg_table(spark)
    made = new_name() if is_new else iceberg_table(spark, 7)

    def kill(*arguments, **named):
        raise Killed

    for owner in ("alive", "dead"):
        with monkeypatch.context() as patched:
            if owner == "dead":
                patched.setattr(branch, "owner_name", dead_name)
                patched.setattr(target_table, "owner_name", dead_name)
            patched.setattr(workspace, "note_ended", lambda _: None)
            patched.setattr(output, "_discard", lambda *_: None)
            patched.setattr(branch, "create" if step == "write" else "publish", kill)
            with pytest.raises(Killed):
                remove(name, listed, made, output_mode="overwrite")
        assert spark.table(made).count() == (0 if is_new else 7)
        if owner == "alive" and is_new:
            with pytest.raises(ConflictError, match="another run") as caught:
                remove(name, listed, made)
            spark.sql("DROP TABLE" + str(caught.value).split("DROP TABLE")[1].split(",")[0])
    remove(name, listed, made, output_mode="error" if is_new else "overwrite")
    assert spark.table(made).count() == 38
    left = set() if is_new or step == "write" else {"alive"}
    assert len(refs(spark, made)) == 1 + len(left)


@pytest.mark.classic("newSession()")
def test_of_two_runs_that_find_a_dead_table_one_replaces_it(spark, remove, listed, monkeypatch):
    name, made = iceberg_table(spark), new_name()
    properties = {target_table.MADE_BY: dead_name("0123456789ab")}
    spark.catalog.createTable(made, source="iceberg", schema=spark.table(name).schema, **properties)
    drop = target_table._drop_left

    def late(*arguments):
        monkeypatch.setattr(target_table, "_drop_left", drop)
        lists = (DuplicateIds(str(listed)),)
        run(spark.newSession(), Settings(images=name, duplicate_ids=lists, output=made))
        drop(*arguments)

    monkeypatch.setattr(target_table, "_drop_left", late)
    with pytest.raises(OutputExistsError):
        remove(name, listed, made)
    assert (spark.table(made).count(), refs(spark, made)) == (38, {"main"})
    spark.sql(f"ALTER TABLE {made} CREATE BRANCH `dedup-claim`")
    with pytest.raises(ConflictError, match="another run replaces"):
        drop(spark, made)


def test_what_others_commit_meanwhile_is_not_replaced(spark, remove, listed, monkeypatch):
    name, made = iceberg_table(spark), iceberg_table(spark, 7)
    counted = output.read_staged

    def append_first(*arguments):
        rows(spark, 1, start=900).writeTo(made).append()
        return counted(*arguments)

    monkeypatch.setattr(output, "read_staged", append_first)
    with pytest.raises(ConflictError, match="in the meantime"):
        remove(name, listed, made, output_mode="overwrite")
    assert {"i900", "i0"} <= {row.image_id for row in spark.table(made).collect()}
    assert refs(spark, made) == {"main"}


@pytest.mark.parametrize("num_shards", [0, 300])
def test_no_image_is_shuffled_for_partitions_or_a_sort_order(spark, remove, listed, num_shards):
    """Without partitions, the table has a sort order with Iceberg's default, `range`."""
    name = new_name()
    spec = "PARTITIONED BY (shard)" if num_shards else ""
    spark.sql(
        f"CREATE TABLE {name} (image_id STRING, image BINARY, shard INT) USING iceberg {spec}"
    )
    if not num_shards:
        spark.sql(f"ALTER TABLE {name} WRITE ORDERED BY image_id DESC")
    images = spark.range(600).selectExpr(
        "concat('i', id) AS image_id",
        "encode(array_join(transform(sequence(1, 80), k -> sha2(concat(id, '-', k), 512)), ''), "
        "'utf-8') AS image",
        f"CAST(id % {max(num_shards, 1)} AS INT) AS shard",
    )
    plain = {"use-table-distribution-and-ordering": "false"}
    images.write.format("iceberg").options(**plain).mode("append").save(name)
    newest, made = newest_stage(spark), new_name()
    report = remove(name, listed, made)
    own = stages_since(spark, newest)
    assert report.bytes["output"] > 1_000_000
    assert sum(stage.shuffleWriteBytes() for stage in own) < 200_000
    assert spark.table(f"{made}.partitions").count() == max(num_shards, 1)
    kept = [int(row.image_id[1:]) for row in spark.table(made).collect()]
    assert len(kept) == 598
    if not num_shards:
        assert kept == sorted(kept)
        assert properties(spark, made)["sort-order"] == "image_id DESC NULLS LAST"


@pytest.mark.classic("a session there does not know the memory of executors")
def test_row_groups_that_no_heap_holds_are_told_before_an_image_is_read(
    spark, remove, listed, monkeypatch
):
    name = iceberg_table(spark)
    monkeypatch.setattr(row_groups, "_RESERVED_BYTES", 5 * 1024**3)
    with session_settings(spark, {}), pytest.raises(UnsupportedError, match="in-place"):
        remove(name, listed, new_name())
