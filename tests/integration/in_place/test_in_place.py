"""In place: rows are hidden in the image table itself, in one commit, and once a run key."""

import json

import pytest
from pyspark.sql import functions as F

from dedup_lib.delta import delete
from dedup_lib.delta.history import was_undone
from dedup_lib.errors import NoMatchesError, OutputExistsError, RunKeyError, UnsupportedError
from dedup_lib.methods import records, run_key
from dedup_lib.plan import id_join
from dedup_lib.session.conf import session_settings
from tests.support.faults.in_process import StoppedError
from tests.support.spark.delta_version import DELETION, HAS_GENERATED_COLUMNS_BY_PATH
from tests.support.tables.in_place import IDS, LISTED, REMOVED, history, operations, rows_of
from tests.support.tables.made import (
    add_unknown_feature,
    delta_table,
    files_with_rows,
    image_rows,
    names_in,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)


def data_files(images):
    return {path.name for path in files_with_rows(images)}


@pytest.mark.usefixtures("as_shipped")
def test_the_planned_rows_go_in_one_commit_that_tells_of_itself(
    spark, remove_here, images, listed, tmp_path
):
    before = data_files(images)
    expected = row_digests(rows_of(spark, images).where(f"NOT ({REMOVED})"))
    report = remove_here(images, listed)
    assert row_digests(rows_of(spark, images)) == expected
    assert operations(spark, images) == ["WRITE", DELETION]
    assert data_files(images) == before
    assert names_in(tmp_path) == ["images"]
    assert report.output == {
        "location": f"file:{images}",
        "format": "delta",
        "version": 1,
        "deletion_vectors": 1,
    }
    assert (report.method, report.engine, report.repeated) == ("in-place", None, False)
    counts = report.counts
    assert (counts["input_rows"], counts["removed_rows"], counts["kept_rows"]) == (40, 3, 37)
    note = json.loads(history(spark, images)[-1][1]["userMetadata"])
    assert note["counts"]["removed_rows"] == 3
    assert note["inputs"]["duplicate_ids"][0]["fingerprint"]
    assert note["plan"]


def test_the_more_ids_a_table_has_the_more_partitions_shuffle_them(
    spark, remove_here, images, listed, monkeypatch
):
    explain, found = delete.explain_refused_deletes, []

    def noting(location):
        found.append(spark.conf.get("spark.sql.shuffle.partitions"))
        return explain(location)

    monkeypatch.setattr(delete, "explain_refused_deletes", noting)
    monkeypatch.setattr(id_join, "ROWS_PER_PARTITION", 4)
    with session_settings(spark, {"spark.sql.shuffle.partitions": "3"}):
        assert remove_here(images, listed).counts["removed_rows"] == 3
    assert found == ["11"]


KINDS = {
    "change data feed, column mapping, row tracking": (
        "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', 'delta.enableRowTracking' = 'true',"
        " 'delta.columnMapping.mode' = 'name')"
    ),
    "clustered, compacted by each commit": (
        "CLUSTER BY (width) TBLPROPERTIES ('delta.autoOptimize.autoCompact' = 'true')"
    ),
    "partitioned, generated": "PARTITIONED BY (tens)",
}


def make_kind(spark, made_rows, path, kind):
    """A table of some kind, with a CHECK constraint, NOT NULL, and rows deleted before."""
    if "generated" in kind and not HAS_GENERATED_COLUMNS_BY_PATH:
        pytest.skip("this Delta makes no table with generated columns by its path")
    generated = ", tens INT GENERATED ALWAYS AS (CAST(width / 10 AS INT))"
    columns = (
        "image_id STRING NOT NULL, image BINARY, width INT, caption STRING, tags ARRAY<STRING>"
    )
    table = f"delta.`{path}`"
    spark.sql(
        f"CREATE TABLE {table} ({columns}{generated if 'generated' in kind else ''}) USING delta "
        + KINDS[kind]
    )
    spark.sql(f"ALTER TABLE {table} ADD CONSTRAINT positive CHECK (width >= 0)")
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    made_rows.coalesce(1).write.format("delta").mode("append").save(str(path))
    spark.sql(f"DELETE FROM {table} WHERE image_id IN ('id-1', 'id-39')")
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["in-place", "clone"])
def test_tables_of_every_kind_lose_just_the_planned_rows(
    spark, remove, made_rows, listed, tmp_path, kind, method
):
    images = make_kind(spark, made_rows, tmp_path / "images", kind)
    expected = row_digests(rows_of(spark, images).where(f"NOT ({REMOVED})"))
    before = data_files(images)
    output = tmp_path / "out" if method == "clone" else None
    report = remove(images, listed, output, method=method)
    assert row_digests(rows_of(spark, output or images)) == expected
    assert report.counts["removed_rows"] == 2
    assert data_files(images) == before
    if "change data feed" in kind and method == "in-place":
        feed = spark.read.option("readChangeFeed", "true").option(
            "startingVersion", report.output["version"]
        )
        changes = feed.format("delta").load(str(images)).select("_change_type", "image_id")
        assert sorted(changes.collect()) == [("delete", "id-20"), ("delete", "id-3")]


@pytest.mark.parametrize(
    ("values", "purge", "warnings"),
    [
        (["train", "10:30", "test set", "café"], False, 1),
        (["train", "a+b&c"], False, 0),
        (["10:30"], True, 0),
    ],
    ids=["escapes", "none", "purged"],
)
def test_a_warning_names_the_partitions_whose_removed_rows_a_reader_gives_back(
    remove_here, made_rows, listed, tmp_path, caplog, values, purge, warnings
):
    """A purged table has no deletion vectors that a reader could miss."""
    chosen = F.element_at(F.lit(values), F.col("width") % len(values) + 1)
    writer = made_rows.withColumn("split", chosen).write.format("delta")
    table = writer.partitionBy("split").option("delta.enableDeletionVectors", "true")
    table.save(str(tmp_path / "images"))
    remove_here(tmp_path / "images", listed, purge=purge)
    said = [record.getMessage() for record in caplog.records if "readers.md" in record.msg]
    assert len(said) == warnings
    assert all("partition column 'split' need escapes in the paths" in text for text in said)


def test_without_deletion_vectors_the_flag_is_asked_for(
    spark, remove_here, made_rows, listed, tmp_path
):
    images = delta_table(made_rows, tmp_path / "images")
    before = tree_digest(images)
    with pytest.raises(UnsupportedError, match="--enable-deletion-vectors switches them on"):
        remove_here(images, listed)
    assert tree_digest(images) == before
    report = remove_here(images, listed, enable_deletion_vectors=True)
    assert operations(spark, images) == ["WRITE", "SET TBLPROPERTIES", DELETION]
    assert (report.output["version"], report.counts["kept_rows"]) == (2, 37)
    assert len(data_files(images)) == 1


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_can_not_be_deleted_from_is_refused_before_any_work(
    spark, remove_here, made_rows, images, listed, tmp_path, dry_run
):
    parquet = write_parquet(image_rows(IDS), tmp_path / "parquet/1.parquet").parent
    append_only = delta_table(made_rows, tmp_path / "append_only", appendOnly="true")
    add_unknown_feature(spark, images, "featureOfTomorrow")
    for table, words in (
        (parquet, "is Parquet"),
        (append_only, "append-only"),
        (images, "featureOfTomorrow"),
    ):
        before = tree_digest(table)
        with pytest.raises(UnsupportedError, match=words):
            remove_here(table, listed, dry_run=dry_run, enable_deletion_vectors=True)
        assert tree_digest(table) == before


def test_a_dry_run_deletes_nothing(remove_here, images, listed):
    before = tree_digest(images)
    report = remove_here(images, listed, dry_run=True)
    assert (report.status, report.counts["removed_rows"]) == ("dry_run", 3)
    assert tree_digest(images) == before


def test_g7_a_retry_without_a_key_changes_nothing(spark, remove_here, images, listed):
    remove_here(images, listed)
    with pytest.raises(NoMatchesError):
        remove_here(images, listed)
    report = remove_here(images, listed, allow_no_matches=True)
    assert operations(spark, images) == ["WRITE", DELETION]
    assert (report.status, report.counts["kept_rows"]) == ("succeeded", 37)


def test_g7_the_same_key_is_applied_once_and_stands_for_one_run(
    spark, remove_here, images, listed, tmp_path
):
    remove_here(images, listed, run_key="monday")
    again = remove_here(images, listed, run_key="monday")
    assert (again.repeated, again.status, again.output["version"]) == (True, "succeeded", 1)
    assert (again.counts["removed_rows"], again.counts["kept_rows"]) == (3, 37)
    shown = remove_here(images, listed, run_key="monday", dry_run=True)
    assert (shown.repeated, shown.status, shown.counts) == (True, "dry_run", again.counts)
    moved = write_list(tmp_path / "moved.parquet", LISTED[::-1])
    assert remove_here(images, moved, run_key="monday").repeated
    other = write_list(tmp_path / "other.parquet", [*LISTED, "id-4"])
    with pytest.raises(RunKeyError, match="another list"):
        remove_here(images, other, run_key="monday")
    assert operations(spark, images) == ["WRITE", DELETION]
    remove_here(images, other, run_key="tuesday")
    assert operations(spark, images) == ["WRITE", DELETION, DELETION]


def test_a_key_whose_commit_was_undone_is_spent(spark, remove_here, images, listed):
    remove_here(images, listed, run_key="monday")
    spark.sql(f"RESTORE TABLE delta.`{images}` TO VERSION AS OF 0")
    with pytest.raises(RunKeyError, match="restored to an earlier version"):
        remove_here(images, listed, run_key="monday")
    assert rows_of(spark, images).count() == 40
    assert remove_here(images, listed, run_key="monday again").counts["kept_rows"] == 37


def test_a_commit_is_undone_by_a_restore_to_before_it_that_was_not_undone_itself(spark, images):
    table = f"delta.`{images}`"
    (row,) = spark.sql(f"DESCRIBE HISTORY {table}").collect()
    spark.sql(f"DELETE FROM {table} WHERE {REMOVED}")
    assert not was_undone(spark, str(images), 1)
    spark.sql(f"RESTORE TABLE {table} TO TIMESTAMP AS OF '{row['timestamp']}'")
    assert was_undone(spark, str(images), 1)
    assert not was_undone(spark, str(images), 0)
    spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF 1")
    assert not was_undone(spark, str(images), 1)
    spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF 2")  # the state that was restored first
    assert was_undone(spark, str(images), 1)


def test_a_commit_that_delta_skips_is_told_apart(spark, remove_here, images, listed, monkeypatch):
    """The key is in the table, but not where the run looked before: another run was quicker."""
    remove_here(images, listed, run_key="monday")
    find = run_key.find_earlier_run
    found = [None]

    def find_late(*args):
        return found.pop() if found else find(*args)

    made_again = rows_of(spark, images, 0).where("image_id = 'id-3'")
    made_again.write.format("delta").mode("append").save(str(images))
    monkeypatch.setattr(run_key, "find_earlier_run", find_late)
    assert remove_here(images, listed, run_key="monday").repeated
    monkeypatch.setattr(run_key, "find_earlier_run", lambda *_: None)
    with pytest.raises(RunKeyError, match="no longer has"):
        remove_here(images, listed, run_key="monday")
    assert operations(spark, images) == ["WRITE", DELETION, "WRITE"]


@pytest.fixture
def images_for_a_week(made_rows, tmp_path):
    properties = {"enableDeletionVectors": "true", "deletedFileRetentionDuration": "7 days"}
    return delta_table(made_rows, tmp_path / "week", **properties)


def test_a_purge_rewrites_what_holds_hidden_rows(spark, remove_here, images_for_a_week, listed):
    images = images_for_a_week
    expected = row_digests(rows_of(spark, images).where(f"NOT ({REMOVED})"))
    old = data_files(images)
    report = remove_here(images, listed, purge=True)
    (new,) = data_files(images) - old
    stored = spark.read.parquet(str(images / new))
    assert row_digests(stored) == row_digests(rows_of(spark, images)) == expected
    assert operations(spark, images) == ["WRITE", DELETION, "REORG"]
    assert report.purge["removed_files"] == 1
    assert report.purge["vacuum"] == f"VACUUM delta.`file:{images}`"
    assert report.bytes["output"] == (images / new).stat().st_size
    week = spark.sql(
        f"SELECT to_timestamp('{report.purge['vacuum_after']}') - now() AS wait"
    ).collect()[0]["wait"]
    assert 6.9 < week.total_seconds() / 86400 <= 7


def test_the_record_of_what_was_deleted_is_not_replaced_by_a_later_run(
    spark, remove_here, images, listed, tmp_path, monkeypatch
):
    """A run that fails between its commit and the record's last mark leaves it unfinished."""
    removed = str(tmp_path / "removed")
    with monkeypatch.context() as patch:
        patch.setattr(records, "finish", failing)
        with pytest.raises(StoppedError):
            remove_here(images, listed, removed_output=removed)
    assert operations(spark, images) == ["WRITE", DELETION]
    with pytest.raises(OutputExistsError):
        remove_here(images, listed, removed_output=removed, allow_no_matches=True)
    assert spark.read.parquet(removed).count() == 3


def failing(*_):
    raise StoppedError


def test_a_purge_that_was_cut_off_is_done_by_the_same_key(spark, remove_here, images, listed):
    remove_here(images, listed, run_key="monday")
    again = remove_here(images, listed, run_key="monday", purge=True)
    assert again.repeated
    assert again.purge["removed_files"] == 1
    assert operations(spark, images) == ["WRITE", DELETION, "REORG"]


def test_a_table_by_name_loses_rows_and_keeps_the_plan(spark, remove_here, made_rows, listed):
    made_rows.write.format("delta").option("delta.enableDeletionVectors", "true").saveAsTable(
        "images_in_place"
    )
    try:
        report = remove_here("images_in_place", listed, removed_output="removed_in_place")
        assert spark.table("images_in_place").count() == 37
        assert report.output["location"] == "images_in_place"
        removed = spark.table("removed_in_place").select("image_id").collect()
        assert sorted(row["image_id"] for row in removed) == ["id-20", "id-3", "id-39"]
    finally:
        spark.sql("DROP TABLE IF EXISTS images_in_place")
        spark.sql("DROP TABLE IF EXISTS removed_in_place")


def test_what_is_set_for_the_deletion_is_put_back(spark, remove_here, images, listed):
    def settings():
        own = "spark.databricks.delta.lastCommitVersionInSession"  # Delta counts there itself
        return {row["key"]: row["value"] for row in spark.sql("SET").collect() if row["key"] != own}

    before = settings()
    remove_here(images, listed, run_key="monday")
    assert settings() == before
    assert spark.catalog.listTables("default") == []
