"""Runs beside other runs in the same JVM, and beside writers of what they read (G8)."""

import functools
import logging
import shutil
import threading
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.delta import delete
from dedup_lib.delta.format import DeltaFormat
from dedup_lib.errors import ConflictError, InputError, UnsupportedError, VerificationError
from dedup_lib.methods import spark_engine
from dedup_lib.session.conf import session_settings
from tests.support.faults.in_process import act_after
from tests.support.faults.meeting import meet
from tests.support.tables.made import (
    delta_table,
    image_rows,
    names_in,
    row_digests,
    write_list,
    write_parquet,
)

IDS = [f"id-{n}" for n in range(40)]
LISTED = {"a": ["id-3", "id-20"], "b": ["id-3", "id-39"]}
NEEDS_SESSIONS = pytest.mark.classic("a second session is made by newSession, which it has not")


@pytest.fixture
def lists(tmp_path):
    return {
        party: write_list(tmp_path / f"in/list-{party}.parquet", ids)
        for party, ids in LISTED.items()
    }


@pytest.fixture
def images(spark, tmp_path):
    rows = spark.read.parquet(str(write_parquet(image_rows(IDS), tmp_path / "in/1.parquet")))
    return delta_table(rows, tmp_path / "in/images", enableDeletionVectors="true")


def ids_of(spark, table, table_format="delta"):
    rows = spark.read.format(table_format).load(str(table)).select("image_id").collect()
    return sorted(row["image_id"] for row in rows)


def without(*ids):
    return sorted(set(IDS) - set(ids))


def operations(spark, table):
    history = spark.sql(f"DESCRIBE HISTORY delta.`{table}`").orderBy("version").collect()
    return [row["operation"] for row in history]


@pytest.fixture
def race(spark, images):
    """Run the job twice at once: race({party: settings}); a report or an error of each."""

    def race(settings):
        outcomes = {}

        def work(party):
            listed = (DuplicateIds(str(settings[party].pop("lists"))),)
            chosen = Settings(images=str(images), duplicate_ids=listed, **settings[party])
            try:
                outcomes[party] = run(spark.newSession(), chosen)
            except Exception as error:
                outcomes[party] = error

        threads = [threading.Thread(target=work, args=(party,), name=party) for party in settings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    return race


def winner_of(outcomes):
    """The party whose run succeeded; that of the other was a conflict."""
    won = {party for party, outcome in outcomes.items() if not isinstance(outcome, Exception)}
    assert len(won) == 1, outcomes
    (lost,) = outcomes.keys() - won
    assert isinstance(outcomes[lost], ConflictError), outcomes[lost]
    return won.pop(), lost


def meeting(rows, folder):
    """Let the task of each party that reads these rows wait for that of the other."""
    party = threading.current_thread().name

    def stays(_):
        meet(Path(folder), "reading", party)
        return True

    return rows.coalesce(1).where(F.udf(stays, "boolean")("image_id"))  # one core for each


@pytest.fixture
def meet_deleting(monkeypatch, tmp_path):
    """Both runs have begun their commit, from the same version, before either makes it."""
    delete_ids = delete.delete_ids

    def deleting(spark, location, column, ids, **options):
        return delete_ids(spark, location, column, meeting(ids, tmp_path), **options)

    monkeypatch.setattr(delete, "delete_ids", deleting)
    return monkeypatch


@NEEDS_SESSIONS
@pytest.mark.parametrize(
    ("of_b", "keyed"), [("a", False), ("a", True), ("b", False)],
    ids=["same list", "same list and key", "other lists"],
)  # fmt: skip
def test_g8_of_two_runs_in_place_at_once_one_commits_and_the_other_can_be_repeated(
    spark, race, remove, images, lists, meet_deleting, keyed, of_b
):
    names = {"a": "a", "b": of_b}
    common = {"method": "in-place", "run_key": "monday" if keyed else None}
    won, lost = winner_of(race({party: {"lists": lists[names[party]], **common} for party in "ab"}))
    meet_deleting.undo()
    assert operations(spark, images) == ["WRITE", "DELETE"]
    assert ids_of(spark, images) == without(*LISTED[names[won]])
    again = remove(images, lists[names[lost]], None, allow_no_matches=not keyed, **common)
    assert again.repeated == keyed
    assert operations(spark, images) == ["WRITE", "DELETE"] + ["DELETE"] * (of_b == "b")
    assert ids_of(spark, images) == without(*LISTED["a"], *LISTED[of_b])


@NEEDS_SESSIONS
def test_g8_of_two_runs_into_one_new_delta_table_one_succeeds(
    spark, race, lists, tmp_path, monkeypatch
):
    promote = DeltaFormat.promote

    def promoting(*args):
        meet(tmp_path, "promoting", threading.current_thread().name)
        promote(*args)

    monkeypatch.setattr(DeltaFormat, "promote", promoting)
    common = {"output": str(tmp_path / "outputs/out"), "output_format": "delta"}
    won, _ = winner_of(race({party: {"lists": lists[party], **common} for party in lists}))
    assert ids_of(spark, tmp_path / "outputs/out") == without(*LISTED[won])
    assert names_in(tmp_path / "outputs") == ["out"]


@NEEDS_SESSIONS
def test_g8_of_two_runs_that_replace_one_delta_table_one_succeeds(
    spark, race, images, lists, tmp_path, monkeypatch
):
    apply = spark_engine.apply
    monkeypatch.setattr(spark_engine, "apply", lambda *args: meeting(apply(*args), tmp_path))
    delta_table(spark.createDataFrame([("old",)], "image_id string"), tmp_path / "outputs/out")
    common = {
        "output": str(tmp_path / "outputs/out"), "output_format": "delta",
        "output_mode": "overwrite", "strategy": "broadcast-ids",
    }  # fmt: skip
    won, _ = winner_of(race({party: {"lists": lists[party], **common} for party in lists}))
    assert ids_of(spark, tmp_path / "outputs/out") == without(*LISTED[won])
    assert names_in(tmp_path / "outputs") == ["out"]


def test_g8_a_commit_that_another_process_wrote_over_is_noticed(
    spark, remove, images, lists, tmp_path, monkeypatch
):
    """What Delta's log store does not exclude on plain file systems, made to happen."""
    other = tmp_path / "other"
    shutil.copytree(images, other)
    spark.sql(f"DELETE FROM delta.`{other}` WHERE image_id = 'id-5'")
    delete_ids = delete.delete_ids

    def deleting(*args, **options):
        rows = delete_ids(*args, **options)
        shutil.copytree(other, images, dirs_exist_ok=True)
        return rows

    monkeypatch.setattr(delete, "delete_ids", deleting)
    with pytest.raises(VerificationError, match="history lacks the commit"):
        remove(images, lists["a"], None, method="in-place")
    monkeypatch.undo()
    remove(images, lists["a"], None, method="in-place")
    assert ids_of(spark, images) == without("id-5", *LISTED["a"])


VACUUM_NOW = {
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "1",  # else 10,000 tasks
}


@pytest.fixture
def change(spark, images):
    """Append to the image table, compact it, overwrite it, and perhaps vacuum it."""

    def change(*, vacuum):
        table, written = f"delta.`{images}`", str(images)
        rows = spark.read.format("delta").load(written).coalesce(1).localCheckpoint()
        late = rows.where("image_id IN ('id-4', 'id-20')")
        late.write.format("delta").mode("append").save(written)
        spark.sql(f"OPTIMIZE {table}")
        others = rows.where("image_id <> 'id-5'")
        others.write.format("delta").mode("overwrite").save(written)
        if vacuum:
            with session_settings(spark, VACUUM_NOW):
                spark.sql(f"VACUUM {table} RETAIN 0 HOURS")

    return change


@pytest.mark.parametrize(
    ("method", "phase", "vacuum"),
    [
        ("rewrite", "check", False),
        ("rewrite", "apply", True),
        ("clone", "apply", False),
    ],
)
def test_g8_what_others_write_to_a_delta_table_meanwhile_is_not_in_the_output(
    spark, remove, images, lists, change, monkeypatch, tmp_path, method, phase, vacuum
):
    before = row_digests(kept(spark.read.format("delta").load(str(images))))
    act_after(monkeypatch, phase, lambda: change(vacuum=vacuum))
    report = remove(images, lists["a"], tmp_path / "outputs/out", method=method)
    table_format = "delta" if method == "clone" else "parquet"
    output = spark.read.format(table_format).load(str(tmp_path / "outputs/out"))
    assert row_digests(output) == before
    assert (report.counts["kept_rows"], report.inputs["images"]["version"]) == (38, 0)


def kept(frame):
    return frame.where("image_id NOT IN ('id-3', 'id-20')")


@pytest.mark.parametrize("method", ["rewrite", "clone"])
def test_g8_a_version_that_was_vacuumed_before_it_was_read_fails_the_run(
    remove, images, lists, change, monkeypatch, tmp_path, method
):
    act_after(monkeypatch, "check", lambda: change(vacuum=True))
    reasons = "does not exist|was changed or deleted during the run"  # the second over Connect
    with pytest.raises(InputError, match=reasons) as refused:
        remove(images, lists["a"], tmp_path / "outputs/out", method=method)
    assert refused.value.exit_code == 3
    assert names_in(tmp_path / "outputs") == []


@pytest.mark.parametrize("phase", ["check", "apply"])
def test_g8_in_place_what_others_write_meanwhile_stays_but_for_the_listed_ids(
    spark, remove, images, lists, change, monkeypatch, phase, caplog
):
    act_after(monkeypatch, phase, lambda: change(vacuum=True))
    with caplog.at_level(logging.WARNING, "dedup_lib"):
        remove(images, lists["a"], None, method="in-place")
    assert ids_of(spark, images) == without("id-5", *LISTED["a"])
    assert ("was vacuumed since" in caplog.text) == (phase == "apply")


@pytest.fixture
def parquet_images(tmp_path):
    for part in range(2):
        rows = image_rows(IDS).slice(part * 20, 20)
        write_parquet(rows, tmp_path / f"in/parquet/{part}.parquet")
    return tmp_path / "in/parquet"


@pytest.mark.parametrize("engine", ["arrow", "spark"])
@pytest.mark.parametrize("change", ["replace", "delete"])
def test_g8_a_parquet_file_that_changes_after_the_plan_fails_the_run(
    remove, parquet_images, lists, monkeypatch, tmp_path, change, engine
):
    file = parquet_images / "1.parquet"
    replace = functools.partial(write_parquet, image_rows(["id-3", "late"]), file)
    act_after(monkeypatch, "check", replace if change == "replace" else file.unlink)
    with pytest.raises(InputError, match="chang") as refused:
        remove(parquet_images, lists["a"], tmp_path / "outputs/out", engine=engine)
    assert refused.value.exit_code == 3
    assert names_in(tmp_path / "outputs") == []


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g8_a_parquet_file_that_is_added_after_the_plan_is_not_in_the_output(
    spark, remove, parquet_images, lists, monkeypatch, tmp_path, engine
):
    late = parquet_images / "2.parquet"
    act_after(monkeypatch, "check", lambda: write_parquet(image_rows(["late"]), late))
    remove(parquet_images, lists["a"], tmp_path / "outputs/out", engine=engine)
    assert ids_of(spark, tmp_path / "outputs/out", "parquet") == without(*LISTED["a"])


def test_g8_a_second_run_in_the_same_session_is_refused(
    remove, parquet_images, lists, monkeypatch, tmp_path
):
    """They would share settings, also the note and the transaction ID of a Delta commit."""
    refused = []

    def again():
        with pytest.raises(UnsupportedError, match="newSession"):
            remove(parquet_images, lists["b"], None, dry_run=True)
        refused.append("b")

    act_after(monkeypatch, "check", again)
    remove(parquet_images, lists["a"], tmp_path / "outputs/out")
    monkeypatch.undo()
    assert refused == ["b"]
    remove(parquet_images, lists["b"], None, dry_run=True)
