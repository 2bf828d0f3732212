"""--since-last-run to an Iceberg output: after whatever happened, it is what a full run gives."""

import contextlib
import os
import random

import pytest
from pyspark.sql import functions as F

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    ConflictError,
    ImagesChangedError,
    OutputExistsError,
    RunKeyError,
    UnsupportedError,
)
from dedup_lib.iceberg import branch, output
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables.read import read_images
from tests.support.faults.in_process import StoppedError, act_after
from tests.support.spark.settings import REMOTE
from tests.support.spark.stages import newest_stage, stages_since
from tests.support.tables.iceberg import V2, V3, dead_name, head, iceberg_table, new_name, refs
from tests.support.tables.made import row_digests, write_list

GIVEN = {"output_format": "iceberg", "allow_no_matches": True, "allow_empty_list": True}
NOTHING = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
KINDS = ("parquet", "delta", "iceberg")


class Images:
    """An image table that grows; each row is like no other."""

    def __init__(self, spark, kind, tmp_path):
        self.spark, self.kind, self.files = spark, kind, 0
        self.at = iceberg_table(spark, None, V3) if kind == "iceberg" else str(tmp_path / "images")
        self.table = f"delta.`{self.at}`" if kind == "delta" else self.at
        self.add(["a", "b", "c", None, "d"])

    def add(self, ids):
        self.files += 1
        made = [(one, f"{self.files}-{place}", self.files) for place, one in enumerate(ids)]
        frame = self.spark.createDataFrame(made, "image_id string, text string, shard int")
        frame = frame.select(
            "image_id", F.encode("text", "utf-8").alias("image"), "shard"
        ).coalesce(1)
        writer = frame.write.format(self.kind).mode("append")
        if self.kind == "delta" and self.files == 1:
            writer = writer.option("delta.enableChangeDataFeed", "true")
        writer.save(self.at)

    def sql(self, statement):
        self.spark.sql(statement.format(self.table))

    def compact(self):
        if self.kind == "delta":
            self.sql("OPTIMIZE {}")
        else:
            compact(self.spark, self.at)


def compact(spark, name):
    options = "options => map('rewrite-all', 'true')"
    spark.sql(f"CALL ice.system.rewrite_data_files(table => '{name}', {options})")


@pytest.fixture
def images(request, spark, tmp_path):
    return Images(spark, getattr(request, "param", "delta"), tmp_path)


@pytest.fixture
def out():
    return new_name()


@pytest.fixture(autouse=True)
def _schema(spark):
    spark.sql("CREATE SCHEMA IF NOT EXISTS ice.db")


@pytest.fixture
def catch_up(remove, spark, tmp_path, out):
    """Run with the flag, and compare the output with all images that are not listed."""

    def catch_up(images, ids, **settings):
        lists, given = write_list(tmp_path / "list/1.parquet", sorted(ids)), GIVEN | settings
        report = remove(images.at, lists, out, since_last_run=True, **given)
        rows = read_images(Session(spark, open_storage(spark)), images.at, "auto").frame
        due = rows.where(F.isnull("image_id") | ~F.col("image_id").isin(list(ids)))
        assert (digests := row_digests(spark.table(out))) == row_digests(due)
        assert report.counts["kept_rows"] == len(digests)
        return report

    return catch_up


def snapshots(spark, name):
    return spark.table(f"{name}.snapshots").count()


@pytest.mark.parametrize("images", KINDS, indirect=True)
def test_days_of_a_growing_table_and_list(catch_up, remove, spark, images, out, tmp_path):
    assert catch_up(images, ["b"]).since_last_run is None
    images.add(["e", "f", None, "b"])
    second = catch_up(images, ["b", "f"])
    assert second.since_last_run == NOTHING | {"added_rows": 2}
    files = {row.file_path for row in spark.table(f"{out}.data_files").collect()}
    images.add(["g", "c"])
    third = catch_up(images, ["b", "f", "a"])
    assert third.since_last_run == NOTHING | {"added_rows": 2, "deleted_ids": 1}
    assert third.output["previous_version"] == second.output["version"]
    assert third.output["version"] == head(spark, out)
    assert 0 < third.bytes["output"] < second.bytes["output"] + 2000
    # No image was written again, and readers saw three states.
    assert files < {row.file_path for row in spark.table(f"{out}.data_files").collect()}
    assert (spark.table(f"{out}.history").count(), refs(spark, out)) == (3, ["main"])
    fourth = catch_up(images, ["f", "a"])
    assert fourth.since_last_run == NOTHING | {"copied_ids": 1}
    full = new_name()
    remove(images.at, tmp_path / "list", full, **GIVEN)
    assert row_digests(spark.table(full)) == row_digests(spark.table(out))
    made = snapshots(spark, out)
    again = catch_up(images, ["f", "a"])
    assert (again.since_last_run, again.bytes["output"]) == (NOTHING, 0)
    assert again.output["version"] == fourth.output["version"]
    assert snapshots(spark, out) == made


def test_rows_that_were_changed_or_deleted_are_so_in_the_output(catch_up, spark, images, out):
    catch_up(images, ["b"])
    spark.sql(f"ALTER TABLE {out} UNSET TBLPROPERTIES ('write.delete.mode')")
    images.sql("UPDATE {} SET shard = 9 WHERE image_id IN ('a', 'b')")
    images.sql("DELETE FROM {} WHERE image_id = 'c'")
    files = spark.table(f"{out}.data_files").select("file_path").collect()
    report = catch_up(images, ["b"])
    assert report.since_last_run == NOTHING | {"deleted_ids": 2, "copied_ids": 1}
    assert files[0] in spark.table(f"{out}.data_files").select("file_path").collect()


def test_a_dry_run_changes_nothing(remove, catch_up, spark, images, out, tmp_path):
    catch_up(images, ["b"])
    images.add(["e"])
    made = snapshots(spark, out)
    listed = write_list(tmp_path / "list/1.parquet", ["c"])
    report = remove(images.at, listed, out, since_last_run=True, dry_run=True, **GIVEN)
    assert report.since_last_run == {"added_rows": 1, "deleted_ids": 1, "copied_ids": 1}
    assert (snapshots(spark, out), refs(spark, out)) == (made, ["main"])


def stop(*_, **__):
    raise StoppedError


@pytest.mark.parametrize("place", ["write_rows", "publish"])
def test_g6_g7_a_run_that_stopped_is_no_run_and_the_next_one_is_right(
    catch_up, spark, images, out, monkeypatch, place
):
    """Stopped between both commits, or before the branch is published; the branch is left."""
    catch_up(images, ["b"], run_key="monday")
    before = head(spark, out)
    images.add(["e"])
    with monkeypatch.context() as patch:
        patch.setattr(output if place == "write_rows" else branch, place, stop)
        patch.setattr(branch, "owner_name", dead_name)
        patch.setattr(output, "_discard", lambda *_: None)
        with pytest.raises(StoppedError):
            catch_up(images, ["c"], run_key="tuesday")
    assert (head(spark, out), len(refs(spark, out))) == (before, 2)
    report = catch_up(images, ["c"], run_key="tuesday")
    assert (report.repeated, report.since_last_run["added_rows"]) == (False, 1)
    assert (head(spark, out), refs(spark, out)) == (report.output["version"], ["main"])
    again = catch_up(images, ["c"], run_key="tuesday")
    assert (again.repeated, again.output["version"]) == (True, report.output["version"])


def test_g7_the_key_of_a_run_that_had_nothing_to_do_is_known(catch_up, remove, images, out):
    first = catch_up(images, ["b"], run_key="monday")
    second = catch_up(images, ["b"], run_key="tuesday")
    assert (second.repeated, second.since_last_run, second.counts) == (False, NOTHING, first.counts)
    assert second.output["version"] != first.output["version"]
    again = catch_up(images, ["b"], run_key="tuesday")
    assert (again.repeated, again.output["version"]) == (True, second.output["version"])
    with pytest.raises(RunKeyError, match="another list"):
        catch_up(images, ["c"], run_key="monday")


def test_g8_who_commits_while_a_run_is_at_work_keeps_it_and_the_run_is_told(
    catch_up, spark, images, out, monkeypatch
):
    catch_up(images, ["b"])
    images.add(["e"])
    other = f"INSERT INTO {out} SELECT * FROM {out} WHERE image_id = 'c'"
    with monkeypatch.context() as patch:
        act_after(patch, "verify", lambda: spark.sql(other))
        with pytest.raises(ConflictError, match="nothing was published") as caught:
            catch_up(images, ["b", "a"])
    assert caught.value.exit_code == 5
    assert (spark.table(out).count(), refs(spark, out)) == (5, ["main"])
    with pytest.raises(OutputExistsError, match=r"another writer changed it \(append\)"):
        catch_up(images, ["b"])
    assert catch_up(images, ["b"], output_mode="overwrite").since_last_run is None
    compact(spark, out)
    images.add(["f"])
    assert catch_up(images, ["b"]).since_last_run == NOTHING | {"added_rows": 1}


def test_of_two_commits_the_first_may_expire_before_they_are_published(
    catch_up, spark, images, out, monkeypatch
):
    catch_up(images, ["b"])
    before = head(spark, out)
    images.add(["e"])

    def expire():
        made = spark.table(f"{out}.snapshots").where(f"parent_id = {before}").collect()
        ids = f"snapshot_ids => array({made[0].snapshot_id})"
        spark.sql(f"CALL ice.system.expire_snapshots(table => '{out}', {ids})")

    with monkeypatch.context() as patch:
        act_after(patch, "verify", expire)
        with pytest.raises(ConflictError, match="not an ancestor"):
            catch_up(images, ["b", "a"])
    assert (head(spark, out), refs(spark, out)) == (before, ["main"])
    assert catch_up(images, ["b", "a"]).since_last_run["deleted_ids"] == 1


def test_an_output_that_was_rolled_back_asks_for_a_full_run(catch_up, spark, images, out):
    first = catch_up(images, ["b"])
    images.add(["e"])
    second = catch_up(images, ["b"])
    call = "CALL ice.system.{}('" + out + "', {})"
    spark.sql(call.format("rollback_to_snapshot", first.output["version"]))
    with pytest.raises(OutputExistsError, match=r"another writer changed it \(rollback\)"):
        catch_up(images, ["b"])
    spark.sql(call.format("set_current_snapshot", second.output["version"]))
    assert catch_up(images, ["b"]).since_last_run == NOTHING


@pytest.mark.parametrize("images", ["iceberg"], indirect=True)
def test_a_column_that_was_added_again_under_its_name_is_another_one(catch_up, spark, images):
    """Old rows are NULL there now; that makes no snapshot, and no name or type differs."""
    catch_up(images, ["b"])
    images.sql("ALTER TABLE {} DROP COLUMN shard")
    images.sql("ALTER TABLE {} ADD COLUMN shard INT")
    with pytest.raises(ImagesChangedError, match=r"column `shard` int .*added again") as caught:
        catch_up(images, ["b"])
    assert caught.value.exit_code == 3
    assert catch_up(images, ["b"], output_mode="overwrite").since_last_run is None


@pytest.mark.parametrize("images", ["iceberg"], indirect=True)
def test_a_column_that_came_is_to_be_added_first(catch_up, spark, images, out):
    catch_up(images, ["b"])
    images.sql("ALTER TABLE {} ADD COLUMN source STRING")
    images.sql("INSERT INTO {} VALUES ('e', X'00', 1, 'web')")
    with pytest.raises(UnsupportedError, match=r"table \(source\). Add a new column"):
        catch_up(images, ["b"])
    spark.sql(f"ALTER TABLE {out} ADD COLUMN source STRING")
    assert catch_up(images, ["b"]).since_last_run == NOTHING | {"added_rows": 1}


def test_a_table_of_others_is_replaced_when_asked_and_one_of_version_1_is_not_updated(
    catch_up, spark, images, out
):
    columns = "image_id STRING, image BINARY, shard INT"
    spark.sql(
        f"CREATE TABLE {out} ({columns}) USING iceberg TBLPROPERTIES ('format-version' = '1')"
    )
    with pytest.raises(OutputExistsError, match="its history has no run with --since-last-run"):
        catch_up(images, ["b"])
    assert catch_up(images, ["b"], output_mode="overwrite").since_last_run is None
    images.add(["e"])
    with pytest.raises(UnsupportedError, match="format version 1, which has no row-level deletes"):
        catch_up(images, ["b"])


def test_no_image_is_shuffled(catch_up, remove, spark, out, listed):
    """For no partition, no sort order, no deletion, and no copied row."""
    name = iceberg_table(spark, properties=V2, spec="PARTITIONED BY (shard)")
    spark.sql(f"ALTER TABLE {name} WRITE ORDERED BY image_id DESC")
    remove(name, listed, out, since_last_run=True, **GIVEN)
    more = spark.range(600).selectExpr(
        "concat('n', id) AS image_id",
        "encode(array_join(transform(sequence(1, 80), k -> sha2(concat(id, '-', k), 512)), ''), "
        "'utf-8') AS image",
        "CAST(id % 3 AS INT) AS shard",
    )
    more.write.format("iceberg").mode("append").save(name)
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'")
    newest = newest_stage(spark)
    report = remove(name, listed, out, since_last_run=True, **GIVEN)
    assert report.since_last_run["added_rows"] == 600
    assert report.bytes["output"] > 1_000_000
    assert sum(stage.shuffleWriteBytes() for stage in stages_since(spark, newest)) < 200_000


STEPS = ("add", "add", "list", "unlist", "compact", "delete", "stop", "overlap", "run", "run")


@pytest.mark.parametrize(
    ("images", "seed"),
    [(KINDS[seed % 3 - 1], seed) for seed in range(int(os.environ.get("SEQUENCES", "1")))],
    indirect=["images"],
)
def test_any_sequence_of_what_can_happen_ends_as_a_full_run(
    catch_up, spark, images, out, seed, monkeypatch, tmp_path
):
    """Of two runs at once, the one that publishes first is right, and the other ends."""
    chosen = random.Random(seed)
    names, entries, late = list("abcdefgh"), {"b"}, tmp_path / "late"

    def run_late():
        given = GIVEN | {"images": images.at, "output": out, "since_last_run": True}
        run(spark.newSession(), Settings(duplicate_ids=(DuplicateIds(str(late)),), **given))

    catch_up(images, entries)
    left_out = {"compact", "delete"} if images.kind == "parquet" else set()
    left_out |= set() if REMOTE is None else {"overlap"}
    steps = [one for one in STEPS if one not in left_out]
    for step in chosen.sample(steps, len(steps)):
        name = chosen.choice(names)
        if step == "add":
            images.add([*chosen.choices([*names, None], k=2), name])
        elif step == "list":
            entries.add(name)
        elif step == "unlist":
            entries.discard(name)
        elif step == "delete":
            images.sql(f"DELETE FROM {{}} WHERE image_id = '{name}'")
        elif step == "compact":
            images.compact()
        elif step == "stop":
            with monkeypatch.context() as patch, contextlib.suppress(StoppedError):
                patch.setattr(output, "write_rows", stop)
                catch_up(images, entries)
        elif step == "overlap":
            write_list(late / "1.parquet", sorted(entries ^ {name}))
            with monkeypatch.context() as patch, contextlib.suppress(ConflictError):
                act_after(patch, "check", once(run_late))
                catch_up(images, entries)
        else:
            catch_up(images, entries)
    catch_up(images, entries)


def once(act):
    """Act at the first call only: what acts may itself be a run."""
    left = [act]
    return lambda: left.pop()() if left else None
