"""In place: other writers commit meanwhile, and commits that are not as planned."""

import threading
import time

import pytest
from pyspark.sql import functions as F

from dedup_lib.delta import delete, in_place_commit
from dedup_lib.errors import ConflictError, VerificationError
from tests.support.faults.in_process import send_deletions_twice
from tests.support.spark.delta_version import DELETION
from tests.support.tables.in_place import REMOVED, operations, rows_of
from tests.support.tables.made import row_digests


@pytest.mark.parametrize("settings", [{}, {"run_key": "monday"}], ids=["no key", "key"])
def test_a_statement_that_connect_sends_twice_is_one_deletion(
    spark, remove_here, images, listed, monkeypatch, settings
):
    send_deletions_twice(monkeypatch)
    report = remove_here(images, listed, **settings)
    assert not report.repeated
    assert (report.counts["removed_rows"], report.output["deletion_vectors"]) == (3, 1)
    assert operations(spark, images) == ["WRITE", DELETION]


def before_deleting(monkeypatch, action):
    """Let another writer act between the plan and the deletion."""
    delete_ids = delete.delete_ids

    def acting(*args, **kwargs):
        action()
        return delete_ids(*args, **kwargs)

    monkeypatch.setattr(delete, "delete_ids", acting)


def test_g10_rows_that_are_appended_after_the_plan_go_where_the_plan_has_their_id(
    spark, remove_here, images, listed, monkeypatch
):
    def append():
        late = rows_of(spark, images, 0).where("image_id IN ('id-3', 'id-4')")
        late.write.format("delta").mode("append").save(str(images))

    before_deleting(monkeypatch, append)
    counts = remove_here(images, listed).counts
    assert (counts["input_rows"], counts["removed_rows"], counts["kept_rows"]) == (42, 4, 38)
    assert rows_of(spark, images).where(REMOVED).isEmpty()
    assert rows_of(spark, images).where("image_id = 'id-4'").count() == 2


def test_g10_rows_that_others_deleted_after_the_plan_are_not_missed(
    spark, remove_here, images, listed, monkeypatch
):
    before_deleting(monkeypatch, lambda: spark.sql(f"DELETE FROM delta.`{images}` WHERE {REMOVED}"))
    report = remove_here(images, listed)
    counts = report.counts
    assert (counts["input_rows"], counts["removed_rows"], counts["kept_rows"]) == (37, 0, 37)
    assert report.output["version"] is None
    assert operations(spark, images) == ["WRITE", "DELETE"]


def test_g10_files_that_are_rewritten_after_the_plan_lose_the_same_rows(
    spark, remove_here, images, listed, monkeypatch
):
    expected = row_digests(rows_of(spark, images).where(f"NOT ({REMOVED})"))

    def rewrite():
        frame = rows_of(spark, images).repartition(3).localCheckpoint()
        frame.write.format("delta").mode("overwrite").save(str(images))

    before_deleting(monkeypatch, rewrite)
    remove_here(images, listed)
    assert row_digests(rows_of(spark, images)) == expected


def test_g8_a_commit_between_reading_and_committing_is_a_conflict(
    spark, remove_here, images, listed, monkeypatch, tmp_path
):
    """The deletion waits, while it reads, until another writer has committed."""
    begun, done = tmp_path / "begun", tmp_path / "done"

    def slow(image_id):
        import time
        from pathlib import Path

        Path(begun).touch()
        deadline = time.monotonic() + 60
        while not Path(done).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return image_id

    waiting = F.udf(slow, "string")
    delete_ids = delete.delete_ids

    def delete_slowly(spark, location, column, ids, **options):
        ids = ids.coalesce(1).select(waiting("image_id").alias("image_id"))  # one core stays free
        return delete_ids(spark, location, column, ids, **options)

    def commit_meanwhile():
        while not begun.exists():
            time.sleep(0.05)
        spark.sql(f"DELETE FROM delta.`{images}` WHERE image_id = 'id-5'")
        done.touch()

    monkeypatch.setattr(delete, "delete_ids", delete_slowly)
    other = threading.Thread(target=commit_meanwhile)
    other.start()
    with pytest.raises(ConflictError, match="Run again"):
        remove_here(images, listed)
    other.join()
    assert rows_of(spark, images).count() == 39
    monkeypatch.setattr(delete, "delete_ids", delete_ids)
    assert remove_here(images, listed).counts["kept_rows"] == 36


def test_g10_a_commit_that_deleted_other_rows_than_planned_is_named_with_what_undoes_it(
    spark, remove_here, images, listed, monkeypatch
):
    delete_ids = delete.delete_ids

    def delete_fewer(spark, location, column, ids, **options):
        return delete_ids(spark, location, column, ids.orderBy("image_id").limit(1), **options)

    monkeypatch.setattr(delete, "delete_ids", delete_fewer)
    with pytest.raises(VerificationError, match=r"version 1 .* deleted 1 rows, .* says 3") as error:
        remove_here(images, listed, run_key="monday")
    assert f"RESTORE TABLE delta.`file:{images}` TO VERSION AS OF 0" in str(error.value)
    assert operations(spark, images) == ["WRITE", DELETION]
    monkeypatch.setattr(delete, "delete_ids", delete_ids)
    for dry_run in (False, True):
        with pytest.raises(VerificationError, match="deleted 1 rows"):
            remove_here(images, listed, run_key="monday", dry_run=dry_run)


@pytest.mark.parametrize("is_as_planned", [True, False])
def test_g10_a_commit_that_deleted_as_many_other_rows_is_named_with_what_undoes_it(
    spark, remove_here, images, listed, monkeypatch, is_as_planned
):
    delete_ids = delete.delete_ids

    def delete_others(spark, location, column, ids, **options):
        if not is_as_planned:
            late = rows_of(spark, images, 0).where("image_id = 'id-7'")
            late.write.format("delta").mode("append").save(str(images))
        others = ids.select(F.regexp_replace("image_id", "^id-3$", "id-5").alias("image_id"))
        return delete_ids(spark, location, column, others, **options)

    monkeypatch.setattr(delete, "delete_ids", delete_others)
    with pytest.raises(VerificationError, match="deleted other IDs than the plan's") as error:
        remove_here(images, listed)
    version = 0 if is_as_planned else 1
    assert f"RESTORE TABLE delta.`file:{images}` TO VERSION AS OF {version}" in str(error.value)


def test_g10_a_version_that_lacks_other_rows_than_delta_says_is_named(
    remove_here, images, listed, monkeypatch
):
    count = in_place_commit.count_rows_at
    monkeypatch.setattr(in_place_commit, "count_rows_at", lambda *args: count(*args) - 1)
    with pytest.raises(VerificationError, match=r"version 1 .* 36 rows, but 40 - 3 are expected"):
        remove_here(images, listed)
