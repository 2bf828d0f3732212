"""Purge: the files with hidden rows are rewritten, and no others; each ID is still there."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import ConflictError, VerificationError
from dedup_lib.iceberg import purge
from dedup_lib.iceberg.purge import Purge, purge_table
from tests.support.faults.meeting import PATIENCE_SECONDS, meet
from tests.support.tables.iceberg import V2, V3, head, iceberg_table, rows

PARTITIONED = "PARTITIONED BY (shard)"


def data_files(spark, name):
    found = spark.table(f"{name}.data_files").select("file_path", "file_size_in_bytes").collect()
    return {row[0]: row[1] for row in found}


def digests(spark, name):
    return sorted(spark.table(name).select("image_id", F.sha2("image", 256), "shard").collect())


@pytest.mark.parametrize(
    ("properties", "upgraded"),
    [(V2, False), (V3, False), (V2 | {"write.delete.granularity": "partition"}, True)],
    ids=["v2", "v3", "v2 then v3"],
)
def test_only_files_with_hidden_rows_are_rewritten(spark, properties, upgraded):
    name = iceberg_table(spark, 60, properties, spec=PARTITIONED)
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i0', 'i3')")  # both of shard 0
    if upgraded:
        spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('format-version' = '3')")
        spark.sql(f"DELETE FROM {name} WHERE image_id = 'i6'")
    kept, before, old_head = digests(spark, name), data_files(spark, name), head(spark, name)
    purged = purge_table(spark, name, "image_id")
    after = data_files(spark, name)
    assert digests(spark, name) == kept
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    assert gone
    assert all("/shard=0/" in path for path in gone | new)
    assert spark.table(f"{name}.delete_files").count() == 0
    assert (purged.removed_files, purged.added_files) == (len(gone), len(new))
    assert purged.removed_bytes == sum(before[path] for path in gone)
    assert purged.added_bytes == sum(after[path] for path in new)
    assert purged.foreign_files == 0
    week = (datetime.now(UTC) + timedelta(days=6)).isoformat()
    assert datetime.now(UTC).isoformat() < purged.vacuum_after < week
    assert spark.read.option("snapshot-id", str(old_head)).table(name).count() == len(kept)
    assert purge_table(spark, name, "image_id") == Purge()


@pytest.mark.parametrize("is_repeated", [False, True], ids=["at once", "by the next run"])
def test_a_run_in_place_purges_and_a_repeated_run_makes_up_for_it(
    spark, remove, listed, is_repeated
):
    name = iceberg_table(spark, 60, V2, spec=PARTITIONED)
    settings = {"method": "in-place", "run_key": "monday"}
    if is_repeated:
        assert remove(name, listed, None, **settings).purge is None
    report = remove(name, listed, None, purge=True, **settings)
    assert report.repeated == is_repeated
    assert report.purge["removed_files"] == 2  # i3 is of shard 0, i17 of shard 2
    assert report.purge["added_bytes"] == report.bytes["output"]
    assert spark.table(f"{name}.delete_files").count() == 0
    assert spark.table(name).where("image_id IN ('i3', 'i17')").count() == 0


def test_the_statement_in_the_report_deletes_the_originals_that_were_taken_in(
    spark, tmp_path, caplog
):
    name = iceberg_table(spark, None, V3 | {"history.expire.max-snapshot-age-ms": "1"})
    rows(spark, 20).write.parquet(str(tmp_path / "o'riginals"))
    originals = sorted((tmp_path / "o'riginals").glob("*.parquet"))
    spark.sql(
        f"CALL ice.system.add_files(table => '{name}', "
        rf"source_table => '`parquet`.`{tmp_path}/o\'riginals`')"
    )
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    purged = purge_table(spark, name, "image_id")
    assert (purged.removed_files, purged.foreign_files) == (1, 1)
    assert "copy them before" in caplog.text
    assert all(path.exists() for path in originals)  # nothing is expired by itself
    spark.sql(purged.vacuum)
    assert [path.exists() for path in originals].count(False) == 1
    assert spark.table(name).count() == 19


def test_files_that_the_table_does_not_own_and_snapshots_with_a_name_stay(
    spark, caplog, monkeypatch
):
    name = iceberg_table(spark, properties=V3 | {"gc.enabled": "false"})
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    assert purge_table(spark, name, "image_id").vacuum is None
    assert "does not own its files" in caplog.text
    assert "looks at their size" not in caplog.text
    name = iceberg_table(spark)
    monkeypatch.setattr(purge, "_MANY_BYTES", 1_000)  # images of ten bytes are large
    spark.sql(f"ALTER TABLE {name} CREATE TAG `it's first`")
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    purge_table(spark, name, "image_id")
    assert "it's first" in caplog.text
    assert f"ALTER TABLE {purge.read_detail(spark, name).name} SET TBLPROPERTIES" in caplog.text


@pytest.mark.parametrize("broken", ["lost", "other"])
def test_a_purge_that_changes_rows_fails_and_names_the_way_back(spark, monkeypatch, broken):
    """A rewrite of our own is taken for the purge."""
    name = iceberg_table(spark, spec=PARTITIONED)
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    old_head, kept = head(spark, name), digests(spark, name)
    image_id = "image_id" if broken == "lost" else "concat(image_id, 'x')"
    where = "image_id <> 'i7'" if broken == "lost" else "true"

    def change(*_, **__):
        changed = (
            spark.table(name).where(where).selectExpr(f"{image_id} AS image_id", "image", "shard")
        )
        changed.localCheckpoint().writeTo(name).overwritePartitions()

    monkeypatch.setattr(purge, "_call", change)
    monkeypatch.setattr(purge, "_REPLACE", "overwrite")
    with pytest.raises(VerificationError, match="rollback_to_snapshot") as caught:
        purge_table(spark, name, "image_id")
    statement = "CALL " + str(caught.value).split("CALL ")[1].split(";")[0]
    spark.sql(statement)
    assert (head(spark, name), digests(spark, name)) == (old_head, kept)


def test_commits_of_others_beside_the_purge_are_left_alone(spark, monkeypatch):
    name = iceberg_table(spark)
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    call = purge._call

    def append_then_call(*arguments, **more):
        rows(spark, 3, start=100).writeTo(name).append()
        call(*arguments, **more)
        spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'")

    monkeypatch.setattr(purge, "_call", append_then_call)
    purged = purge_table(spark, name, "image_id")
    assert (purged.removed_files, purged.added_files) == (1, 1)
    assert spark.table(name).count() == 41


@pytest.mark.classic("it asks Spark which jobs wait for a core")
def test_a_writer_of_the_same_files_wins_and_the_error_says_how_to_go_on(
    spark, tmp_path, monkeypatch
):
    """All cores are taken, so the rewrite waits; a delete of whole files needs no core."""
    name = iceberg_table(spark, spec=PARTITIONED)
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
    call, parties = purge._call, ("core 0", "core 1", "writer")

    def hold(number):
        meet(tmp_path, "held", f"core {number}", parties)
        meet(tmp_path, "written", f"core {number}", parties)
        return number

    held = spark.range(0, 2, 1, 2).select(F.udf(hold, "long")("id"))

    def write():
        meet(tmp_path, "held", "writer", parties)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(spark.sparkContext.statusTracker().getActiveJobsIds()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        spark.sql(f"DELETE FROM {name} WHERE shard = 0")
        meet(tmp_path, "written", "writer", parties)

    def call_meanwhile(*arguments, **more):
        threads = [threading.Thread(target=held.collect), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        try:
            call(*arguments, **more)
        finally:
            for thread in threads:
                thread.join()

    monkeypatch.setattr(purge, "_call", call_meanwhile)
    with pytest.raises(ConflictError, match="could not be purged") as caught:
        purge_table(spark, name, "image_id")
    assert spark.table(name).where("shard = 0").count() == 0
    spark.sql("CALL " + str(caught.value).split("CALL ")[1].split("; or run")[0])
