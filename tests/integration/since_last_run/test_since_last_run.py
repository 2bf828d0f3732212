"""--since-last-run: after whatever happened, the output is what a full run would give."""

import contextlib
import os
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from dedup_lib.delta.catch_up import CatchingUp
from dedup_lib.delta.history import USER_METADATA
from dedup_lib.errors import (
    ConflictError,
    ImagesChangedError,
    NoMatchesError,
    OutputExistsError,
    VerificationError,
)
from dedup_lib.session.conf import session_settings
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.tables.read import read_images
from tests.support.faults.in_process import send_deletions_twice
from tests.support.spark.settings import REMOTE
from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet

GIVEN = {"output_format": "delta", "allow_no_matches": True, "allow_empty_list": True}
KINDS = ["parquet", "delta", "delta with a feed"]
NOTHING = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}


@pytest.fixture
def catch_up(remove, spark, tmp_path):
    """Run with the flag, and compare the output with all images that are not listed."""

    def catch_up(images, lists, output=None, **settings):
        output = str(tmp_path / "out") if output is None else output
        report = remove(images, lists, output, since_last_run=True, **GIVEN | settings)
        found, ids = table(spark, output), pq.read_table(lists)["id"].to_pylist()
        rows = read_images(Session(spark, open_storage(spark)), str(images), "auto").frame
        due = rows.where(F.isnull("image_id") | ~F.col("image_id").isin(ids))
        assert (digests := row_digests(found)) == row_digests(due)
        assert report.counts["kept_rows"] == len(digests)
        return report

    return catch_up


def table(spark, location):
    if "/" not in str(location):
        return spark.table(location)
    return spark.read.format("delta").load(str(location))


class Images:
    """An image table that grows: add(IDs)."""

    def __init__(self, spark, path, kind):
        self.spark, self.path, self.kind, self.files = spark, path, kind, 0
        self.add(["a", "b", "c", None, "d"])

    def __str__(self):
        return str(self.path)

    def add(self, ids, **more):
        """Add a file; its rows are like no others."""
        self.files += 1
        widths = pa.array([100 * self.files + place for place in range(len(ids))], pa.int32())
        rows = image_rows(ids).set_column(2, "width", widths)
        for name, value in more.items():
            rows = rows.append_column(name, pa.array([value] * len(ids)))
        if self.kind == "parquet":
            write_parquet(rows, self.path / f"{self.files}.parquet")
            return
        place = write_parquet(rows, self.path.with_name(f"part-{self.files}") / "1.parquet")
        writer = self.spark.read.parquet(str(place)).write.format("delta").mode("append")
        if self.kind == "delta with a feed" and self.files == 1:
            writer = writer.option("delta.enableChangeDataFeed", "true")
        writer.option("mergeSchema", "true").save(str(self.path))

    def make_anew(self):
        shutil.rmtree(self.path)
        self.add(["a", "b"])

    def sql(self, statement):
        self.spark.sql(statement.format(f"delta.`{self.path}`"))


@pytest.fixture
def images(request, spark, tmp_path):
    return Images(spark, tmp_path / "images", getattr(request, "param", "delta with a feed"))


def each(*kinds):
    return pytest.mark.parametrize("images", kinds, indirect=True)


@pytest.fixture
def listed(tmp_path):
    """Replace the list: listed(IDs)."""
    return lambda ids: write_list(tmp_path / "list/1.parquet", ids)


@each("parquet", "delta with a feed")
def test_three_days_of_a_growing_table_and_list(catch_up, remove, spark, images, listed, tmp_path):
    first = catch_up(images, listed(["b"]))
    assert first.since_last_run is None
    images.add(["e", "f", None, "b"])
    second = catch_up(images, listed(["b", "f"]))
    assert second.since_last_run == NOTHING | {"added_rows": 2}
    images.add(["g"])
    third = catch_up(images, listed(["b", "f", "a"]))
    assert third.since_last_run == NOTHING | {"added_rows": 1, "deleted_ids": 1}
    assert third.output["version"] == second.output["version"] + 2
    full = tmp_path / "full"
    remove(images, tmp_path / "list", full, **GIVEN)
    assert row_digests(table(spark, full)) == row_digests(table(spark, tmp_path / "out"))
    again = catch_up(images, listed(["b", "f", "a"]))
    assert again.since_last_run == NOTHING
    assert (again.output, again.counts) == (third.output, third.counts)
    assert again.bytes["output"] == 0
    assert "scan image IDs" not in again.steps


@each("parquet", "delta")
def test_what_is_listed_no_more_comes_back_with_all_rows_of_its_id(catch_up, images, listed):
    catch_up(images, listed(["a", "b"]))
    images.add(["a", "e"])
    report = catch_up(images, listed(["b"]))
    assert report.since_last_run == NOTHING | {"added_rows": 1, "copied_ids": 1}


def test_a_deletion_that_connect_sends_twice_is_one(catch_up, images, listed, monkeypatch):
    catch_up(images, listed([]))
    send_deletions_twice(monkeypatch)
    report = catch_up(images, listed(["a"]))
    assert report.since_last_run == NOTHING | {"deleted_ids": 1}


def test_rows_are_deleted_by_deletion_vectors_and_no_image_is_written_twice(
    catch_up, images, listed, spark, tmp_path
):
    catch_up(images, listed([]))
    before = table(spark, tmp_path / "out").inputFiles()
    catch_up(images, listed(["a"]))
    assert table(spark, tmp_path / "out").inputFiles() == before


def test_with_a_feed_rows_that_were_changed_or_deleted_are_too(catch_up, images, listed):
    catch_up(images, listed(["b"]))
    images.sql("UPDATE {} SET caption = 'new' WHERE image_id IN ('a', 'b')")
    images.sql("DELETE FROM {} WHERE image_id = 'c'")
    images.add(["a", "e"])
    images.sql("DELETE FROM {} WHERE image_id = 'e'")
    images.sql("UPDATE {} SET image_id = 'f' WHERE image_id = 'd'")
    report = catch_up(images, listed(["b"]))
    assert report.since_last_run == NOTHING | {"deleted_ids": 3, "copied_ids": 2}


def test_a_row_without_an_id_that_was_deleted_can_not_be_told_from_others(remove, images, listed):
    run = {"output": str(images.path) + "-out", "since_last_run": True, **GIVEN}
    remove(images, listed(["b"]), **run)
    images.sql("DELETE FROM {} WHERE image_id IS NULL")
    with pytest.raises(ImagesChangedError, match="1 rows without an ID were changed or deleted"):
        remove(images, listed(["b"]), **run)


@each(*KINDS[1:])
def test_what_changes_no_row_changes_nothing(catch_up, images, listed):
    catch_up(images, listed(["b"]))
    images.add(["e"])
    images.sql("OPTIMIZE {}")
    images.add(["f", "g"])
    images.sql("ALTER TABLE {} SET TBLPROPERTIES ('x' = 'y')")
    report = catch_up(images, listed(["b", "f"]))
    assert report.since_last_run == NOTHING | {"added_rows": 2}
    images.sql("OPTIMIZE {}")
    assert catch_up(images, listed(["b", "f"])).since_last_run == NOTHING


@each("delta")
def test_a_column_that_came_is_in_the_output_too(catch_up, images, listed):
    catch_up(images, listed(["b"]))
    images.add(["e"], source="web")
    catch_up(images, listed(["b"]))


def test_partitions_of_both_kinds(catch_up, spark, tmp_path, listed):
    for kind in ("parquet", "delta"):
        where = tmp_path / f"{kind}-images"
        for day, ids in enumerate((["a", "b"], ["c", "d"])):
            frame = spark.createDataFrame([(name, f"x%3A {name > 'c'}", day) for name in ids])
            frame = frame.toDF("image_id", "kind", "day").withColumn("image", F.lit(b"x"))
            frame.write.format(kind).mode("append").partitionBy("kind", "day").save(str(where))
            report = catch_up(where, listed(["b", "d"][: day + 1]), tmp_path / f"{kind}-out")
        assert report.since_last_run == NOTHING | {"added_rows": 1}


def test_an_empty_partition_value_is_null(catch_up, spark, tmp_path, listed):
    """Some writers log an empty text where Delta logs a NULL, for a date too."""
    images = tmp_path / "images"

    def add(name, day):
        frame = spark.createDataFrame([(name, day)], "image_id string, day string")
        frame = frame.select("image_id", F.col("day").cast("date"), F.lit(b"x").alias("image"))
        frame.write.format("delta").mode("append").partitionBy("day").save(str(images))

    add("a", "2026-01-31")
    add("c", "2026-01-31")
    catch_up(images, listed(["a"]))
    add("b", None)
    commit = images / f"_delta_log/{2:020d}.json"
    logged = commit.read_text()
    assert logged.count('"day":null') == 1
    commit.write_text(logged.replace('"day":null', '"day":""'))
    commit.with_name(f".{commit.name}.crc").unlink()
    report = catch_up(images, listed(["a"]))
    assert report.since_last_run == NOTHING | {"added_rows": 1}


@pytest.mark.usefixtures("as_shipped")
def test_a_table_by_name_is_caught_up_with(catch_up, images, listed, name):
    catch_up(images, listed(["b"]), name)
    images.add(["e"])
    report = catch_up(images, listed(["b", "c"]), name)
    assert report.since_last_run == NOTHING | {"added_rows": 1, "deleted_ids": 1}


def test_a_dry_run_says_what_is_new_and_changes_nothing(remove, spark, images, listed, tmp_path):
    run = {"output": str(tmp_path / "out"), "since_last_run": True, **GIVEN}
    remove(images, listed(["b"]), **run)
    images.add(["e"])
    before = row_digests(table(spark, run["output"]))
    report = remove(images, listed(["b", "c"]), dry_run=True, **run)
    assert report.since_last_run == NOTHING | {"added_rows": 1, "deleted_ids": 1}
    assert row_digests(table(spark, run["output"])) == before


CHANGED = {
    ("delta", "deleted rows"): (
        lambda images: images.sql("DELETE FROM {} WHERE image_id = 'a'"),
        "rows were changed or deleted, and it has no change data feed.*full run.*switch the feed",
    ),
    ("delta", "another table"): (
        lambda images: images.make_anew(),
        "was made again since the last run",
    ),
    ("delta", "a feed switched on too late"): (
        lambda images: (
            images.sql("DELETE FROM {} WHERE image_id = 'a'")
            or images.sql(
                "ALTER TABLE {} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
            )
        ),
        "rows were changed or deleted",
    ),
    ("parquet", "a file that is gone"): (
        lambda images: images.add(["x"]) or (images.path / "1.parquet").unlink(),
        "is gone since the last run.*full run",
    ),
    ("parquet", "a file that was changed"): (
        lambda images: write_parquet(image_rows(["x"]), images.path / "1.parquet"),
        "was changed since the last run.*full run",
    ),
}


@pytest.mark.parametrize(
    ("images", "change", "reason"),
    [(kind, *case) for (kind, _), case in CHANGED.items()],
    ids=[" ".join(key) for key in CHANGED],
    indirect=["images"],
)
def test_what_can_not_be_told_is_refused_until_a_full_run(
    catch_up, remove, images, listed, change, reason, tmp_path
):
    catch_up(images, listed(["b"]))
    change(images)
    given = {"since_last_run": True, **GIVEN}
    with pytest.raises(ImagesChangedError, match=reason):
        remove(images, listed(["b"]), tmp_path / "out", **given)
    assert catch_up(images, listed(["b"]), output_mode="overwrite").since_last_run is None


def test_an_output_of_others_is_left_alone_until_it_is_overwritten(
    catch_up, remove, spark, images, listed, tmp_path
):
    remove(images, listed(["b"]), tmp_path / "out", **GIVEN)
    with pytest.raises(OutputExistsError, match="has no run with --since-last-run"):
        remove(images, listed(["b"]), tmp_path / "out", since_last_run=True, **GIVEN)
    catch_up(images, listed(["b"]), output_mode="overwrite")
    spark.sql(f"OPTIMIZE delta.`{tmp_path}/out`")
    assert catch_up(images, listed(["b"])).since_last_run == NOTHING


def test_g7_a_key_that_was_used_stands_for_the_run_that_came_to_its_end(
    catch_up, images, listed, monkeypatch
):
    catch_up(images, listed(["b"]), run_key="monday")
    images.add(["e"])
    with monkeypatch.context() as patch:
        patch.setattr(CatchingUp, "append", _stop)
        with pytest.raises(RuntimeError, match="stopped"):
            catch_up(images, listed(["c"]), run_key="tuesday")
    report = catch_up(images, listed(["c"]), run_key="tuesday")
    assert (report.repeated, report.since_last_run["added_rows"]) == (False, 1)
    version = report.output["version"]
    report = catch_up(images, listed(["c"]), run_key="tuesday")
    assert (report.repeated, report.output["version"]) == (True, version)


@pytest.mark.classic("a second session is made by newSession, which it has not")
@pytest.mark.parametrize("other", ["deletes", "full"])
def test_g8_of_two_runs_at_once_one_appends_and_the_other_is_told(
    catch_up, remove, spark, images, listed, tmp_path, monkeypatch, other
):
    """The second one plans, compares and commits while the first is about to append."""
    catch_up(images, listed(["b"]))
    images.add(["e"])
    listed(["b", "c"])  # the first deletes, and then the other comes
    mode = "overwrite" if other == "full" else "error"
    session = spark.newSession()
    _let_overtake(monkeypatch, lambda: _run_in(session, images, tmp_path, mode=mode))
    with pytest.raises(ConflictError, match="run again, for the changes since"):
        remove(images, tmp_path / "list", tmp_path / "out", since_last_run=True, **GIVEN)
    images.add(["f"])
    report = catch_up(images, listed(["b", "c", "d"]))  # a full run's number is no hindrance
    assert report.since_last_run["added_rows"] == 1


@pytest.mark.classic("a second session is made by newSession, which it has not")
def test_what_another_run_deleted_and_died_comes_back_with_the_next_run(
    catch_up, remove, spark, images, listed, tmp_path, monkeypatch
):
    """Images and list are the same as at the end of the last run, and the output is not."""
    catch_up(images, listed(["b"]))
    images.add(["e"])
    append = CatchingUp.append

    def die():
        listed(["b", "c"])
        monkeypatch.setattr(CatchingUp, "append", _stop)
        with pytest.raises(RuntimeError, match="stopped"):
            _run_in(spark.newSession(), images, tmp_path)
        monkeypatch.setattr(CatchingUp, "append", append)

    _let_overtake(monkeypatch, die)
    with pytest.raises(VerificationError, match="an overlapping run changed it"):
        remove(images, listed(["b"]), tmp_path / "out", since_last_run=True, **GIVEN)
    report = catch_up(images, listed(["b"]))
    assert report.since_last_run == NOTHING | {"copied_ids": 1}


def _run_in(session, images, tmp_path, lists=None, mode="error"):
    from dedup_lib import DuplicateIds, Settings, run

    settings = Settings(
        images=str(images),
        duplicate_ids=(DuplicateIds(str(lists or tmp_path / "list")),),
        output=str(tmp_path / "out"),
        output_mode=mode,
        since_last_run=True,
        **GIVEN,
    )
    return run(session, settings)


def test_a_limit_that_was_lifted_for_one_run_stops_the_next(remove, images, listed, tmp_path):
    """Though nothing is new."""
    run = {"output": str(tmp_path / "out"), "since_last_run": True, "output_format": "delta"}
    remove(images, listed(["nowhere"]), allow_no_matches=True, **run)
    with pytest.raises(NoMatchesError):
        remove(images, listed(["nowhere"]), **run)


def test_what_others_did_to_the_output_while_a_run_was_at_work_is_mended_by_the_next(
    catch_up, remove, spark, images, listed, tmp_path, monkeypatch
):
    """As many rows as before, and others: that the run itself can't see."""
    catch_up(images, listed(["b"]))
    images.add(["e"])
    out = f"delta.`{tmp_path}/out`"

    def others():
        spark.sql(f"DELETE FROM {out} WHERE image_id = 'a'")
        spark.sql(f"INSERT INTO {out} SELECT * FROM {out} WHERE image_id = 'c'")

    _let_overtake(monkeypatch, others)
    remove(images, listed(["b"]), tmp_path / "out", since_last_run=True, **GIVEN)
    assert catch_up(images, listed(["b"])).since_last_run["copied_ids"] == 2


def test_g7_the_key_of_a_run_that_had_nothing_to_do_is_known(
    catch_up, remove, images, listed, tmp_path
):
    first = catch_up(images, listed(["b"]), run_key="monday")
    second = catch_up(images, listed(["b"]), run_key="tuesday")
    assert (second.repeated, second.since_last_run, second.counts) == (False, NOTHING, first.counts)
    images.add(["e"])
    given = {"since_last_run": True, "run_key": "tuesday", **GIVEN}
    again = remove(images, listed(["b"]), tmp_path / "out", **given)
    assert (again.repeated, again.output["version"]) == (True, second.output["version"])


WRITES = {
    "a restore": lambda spark, out: spark.sql(f"RESTORE TABLE delta.`{out}` TO VERSION AS OF 0"),
    "deleted rows": lambda spark, out: spark.sql(f"DELETE FROM delta.`{out}` WHERE image_id = 'a'"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_others_write_to_the_output_asks_for_a_full_run(
    catch_up, remove, spark, images, listed, tmp_path, write
):
    """After a restore IDs and counts may be right, and what an update brought is not there."""
    catch_up(images, listed(["b"]))
    images.sql("UPDATE {} SET caption = 'new' WHERE image_id = 'a'")
    catch_up(images, listed(["b"]))
    write(spark, str(tmp_path / "out"))
    with pytest.raises(OutputExistsError, match=r"another writer changed it \("):
        remove(images, listed(["b"]), tmp_path / "out", since_last_run=True, **GIVEN)


def test_a_full_run_without_the_flag_asks_for_one_with_it(
    catch_up, remove, images, listed, tmp_path
):
    catch_up(images, listed(["b"]))
    images.add(["e"])
    remove(images, listed(["b"]), tmp_path / "out", output_mode="overwrite", **GIVEN)
    images.add(["f"])
    with pytest.raises(OutputExistsError, match="another writer changed it"):
        remove(images, listed(["b"]), tmp_path / "out", since_last_run=True, **GIVEN)


@each("delta")
def test_rows_of_one_id_that_are_too_few_or_too_many_are_all_copied_anew(
    catch_up, spark, images, listed, tmp_path
):
    """As an overlapping run might leave them, whose commits are like those of this one."""
    catch_up(images, listed(["b"]))
    images.add(["a", "e"])
    catch_up(images, listed(["b"]))
    out = f"delta.`{tmp_path}/out`"
    note = spark.sql(f"DESCRIBE HISTORY {out} LIMIT 1").collect()[0]["userMetadata"]
    with session_settings(spark, {USER_METADATA: note}):
        spark.sql(f"DELETE FROM {out} WHERE image_id = 'a' AND width < 200")
        spark.sql(f"INSERT INTO {out} SELECT * FROM {out} WHERE image_id IN ('c', 'd')")
        spark.sql(f"DELETE FROM {out} WHERE image_id = 'd' AND width = 104")
    assert catch_up(images, listed(["b"])).since_last_run == {
        "added_rows": 0, "deleted_ids": 2, "copied_ids": 3,
    }  # fmt: skip


def _stop(*_):
    raise RuntimeError("stopped")


STEPS = ("add", "list", "unlist", "kill", "overlap", "run", "run")
CHANGES = ("update", "delete")


@pytest.mark.parametrize(
    ("images", "seed"),
    [(KINDS[seed % 3 - 1], seed) for seed in range(int(os.environ.get("SEQUENCES", "1")))],
    indirect=["images"],
)
def test_any_sequence_of_what_can_happen_ends_as_a_full_run(
    catch_up, spark, images, listed, tmp_path, seed, monkeypatch
):
    """Appends, changes of the list and of rows, runs, runs that die or that others overtake."""
    chosen = random.Random(seed)
    names, entries, late = list("abcdefgh"), {"b"}, tmp_path / "late"

    def run_late():
        _run_in(spark.newSession(), images, tmp_path, late)

    catch_up(images, listed(sorted(entries)))
    steps = STEPS if REMOTE is None else tuple(step for step in STEPS if step != "overlap")
    steps += CHANGES if images.kind == "delta with a feed" else ()
    for step in chosen.sample(steps, len(steps)):  # each of them once, and a run twice
        name = chosen.choice(names)
        if step == "add":
            images.add([*chosen.choices([*names, None], k=2), name])
        elif step == "list":
            entries.add(name)
        elif step == "unlist":
            entries.discard(name)
        elif step == "update":
            images.sql(f"UPDATE {{}} SET caption = caption || '+' WHERE image_id = '{name}'")
        elif step == "delete":
            images.sql(f"DELETE FROM {{}} WHERE image_id = '{name}'")
        elif step == "kill":
            with monkeypatch.context() as patch, contextlib.suppress(RuntimeError):
                patch.setattr(CatchingUp, "append", _stop)
                catch_up(images, listed(sorted(entries)))
        elif step == "overlap":
            write_list(late / "1.parquet", sorted(entries ^ {name}))
            with monkeypatch.context() as patch, contextlib.suppress(*OVERTAKEN):
                _let_overtake(patch, run_late)
                catch_up(images, listed(sorted(entries)))
        else:
            catch_up(images, listed(sorted(entries)))
    catch_up(images, listed(sorted(entries)))


OVERTAKEN = (ConflictError, VerificationError)


def _let_overtake(patch, other):
    """Let another run go by where one is about to append."""
    append = CatchingUp.append

    def overtaken(self):
        patch.setattr(CatchingUp, "append", append)
        with contextlib.suppress(*OVERTAKEN):
            other()
        return append(self)

    patch.setattr(CatchingUp, "append", overtaken)
