"""Parquet where can't rename in one step: on a local disk here, on S3 in test_object_store."""

import json

import pytest

from dedup_lib.errors import ConflictError, OutputExistsError, UnsupportedError, VerificationError
from dedup_lib.methods.rewrite import Rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.publish import claims
from dedup_lib.publish.owners import owner_text
from dedup_lib.session import storage
from dedup_lib.session.open_storage import open_storage
from dedup_lib.tables.directory import MANIFEST_NAME
from dedup_lib.tables.manifest import read_manifest, write_inside
from tests.support.faults.in_process import StoppedError
from tests.support.processes.runs import ids
from tests.support.tables.made import (
    image_rows,
    names_in,
    note_of,
    row_digests,
    write_list,
    write_parquet,
)

KEPT = ["a", "c", "d"]


@pytest.fixture(autouse=True)
def no_renames(monkeypatch):
    monkeypatch.setattr(storage, "ATOMIC_RENAME_SCHEMES", frozenset())
    monkeypatch.setattr(claims, "_MOST_WAIT_SECONDS", 0.01)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "at").mkdir()
    return tmp_path / "at"


def stopping_at(monkeypatch, step):
    def stop(*args):
        raise StoppedError

    monkeypatch.setattr(*step, stop)


@pytest.mark.parametrize("engine", ["auto", "spark", "arrow"])
def test_an_output_is_written_in_its_place_and_marked_last(
    spark, remove, images, listed, folder, engine
):
    report = remove(images, listed, folder / "out", engine=engine)
    assert report.engine == ("arrow" if engine == "arrow" else "spark")
    assert ids(spark, folder / "out") == KEPT
    rows = spark.read.parquet(str(images)).where("image_id <> 'b'")
    assert row_digests(spark.read.parquet(str(folder / "out"))) == row_digests(rows)
    assert (folder / "out/_SUCCESS").exists()
    assert note_of(folder / "out")["kept_rows"] == 3
    assert not (folder / "out" / MANIFEST_NAME).exists()
    assert names_in(folder) == ["out"]


@pytest.mark.parametrize("engine", ["spark", "arrow"])
def test_partitions_and_an_output_without_rows(spark, remove, folder, engine):
    write_parquet(image_rows(["a"]), folder / "in/p=007/1.parquet")
    listed = write_list(folder / "list/1.parquet", ["a"]).parent
    chosen = {"engine": engine, "max_removed_fraction": 1.0}
    remove(folder / "in", listed, folder / "out", **chosen)
    assert ids(spark, folder / "out") == []
    write_parquet(image_rows(["b"]), folder / "in/p=007/2.parquet")
    remove(folder / "in", listed, folder / "out2", **chosen)
    assert [path.parent.name for path in (folder / "out2").rglob("*.parquet")] == ["p=007"]


@pytest.mark.parametrize(
    "step",
    [(Rewrite, "write"), (Rewrite, "verify"), (RunContext, "keep_records")],
    ids=lambda step: step[1],
)
def test_g6_a_run_that_fails_leaves_nothing(
    spark, remove, images, listed, folder, monkeypatch, step
):
    with monkeypatch.context() as patch:
        stopping_at(patch, step)
        with pytest.raises(StoppedError):
            remove(images, listed, folder / "out")
    assert names_in(folder) == []
    remove(images, listed, folder / "out")
    assert ids(spark, folder / "out") == KEPT


@pytest.mark.classic("the claim of a client that died holds, for its server may be at work")
def test_g7_what_a_killed_run_left_is_taken_for_no_output(spark, remove, images, listed, folder):
    write_parquet(image_rows(["x"]), folder / "out/part-1.parquet")
    (folder / "out" / MANIFEST_NAME).write_text('{"incomplete": true, "run": "r"}')
    dead = json.loads(owner_text("r")) | {"process": "another"}
    (folder / ".out.dedup-claim-r").write_text(json.dumps(dead))
    remove(images, listed, folder / "out", run_key="k")
    assert ids(spark, folder / "out") == KEPT
    assert names_in(folder) == ["out"]
    assert remove(images, listed, folder / "out", run_key="k").repeated


def test_g8_a_place_that_another_run_has_claimed_is_left_alone(remove, images, listed, folder):
    (folder / ".out.dedup-claim-r").write_text(owner_text("r"))
    with pytest.raises(ConflictError, match="another run is publishing"):
        remove(images, listed, folder / "out")
    assert names_in(folder) == [".out.dedup-claim-r"]


def test_g8_an_output_that_was_taken_over_is_not_marked(
    spark, remove, images, listed, folder, monkeypatch
):
    verify = Rewrite.verify

    def verifying(self, plan, staged):
        verify(self, plan, staged)
        note = {"incomplete": True, "run": "of another"}
        write_inside(self.run.session.storage, f"{folder}/out", note)

    monkeypatch.setattr(Rewrite, "verify", verifying)
    with pytest.raises(ConflictError, match="took over"):
        remove(images, listed, folder / "out")
    assert json.loads((folder / "out" / MANIFEST_NAME).read_text())["run"] == "of another"
    assert not (folder / "out/_SUCCESS").exists()


def test_g10_rows_of_another_make_it_fail(remove, images, listed, folder, monkeypatch):
    rewrite = Rewrite.write

    def rewriting(self, plan, *given):
        staged = rewrite(self, plan, *given)
        write_parquet(image_rows(["x"]), folder / "out/more.parquet")
        return staged

    monkeypatch.setattr(Rewrite, "write", rewriting)
    with pytest.raises(VerificationError, match="Nothing was published"):
        remove(images, listed, folder / "out")
    assert names_in(folder) == []


def test_an_output_that_is_there_is_not_replaced(spark, remove, images, listed, folder):
    remove(images, listed, folder / "out")
    with pytest.raises(OutputExistsError):
        remove(images, listed, folder / "out")
    with pytest.raises(UnsupportedError, match="can't rename in one step") as caught:
        remove(images, listed, folder / "out", output_mode="overwrite")
    assert caught.value.exit_code == 2
    assert ids(spark, folder / "out") == KEPT


def test_records_are_marked_too_and_an_unfinished_one_is_replaced(
    spark, remove, images, listed, folder, monkeypatch
):
    def promote(*args):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(RunContext, "finish_records", promote)
        with pytest.raises(StoppedError):
            remove(images, listed, folder / "out", removed_output=f"{folder}/removed")
    assert read_manifest(open_storage(spark), f"file:{folder}/removed")["unfinished"]
    remove(images, listed, folder / "out2", removed_output=f"{folder}/removed")
    assert ids(spark, folder / "removed") == ["b"]
    assert "unfinished" not in note_of(folder / "removed")


def test_g7_a_run_that_died_before_its_last_mark_is_finished_by_the_next(
    spark, remove, images, listed, folder
):
    remove(images, listed, folder / "out", run_key="k")
    (folder / "out/_SUCCESS").unlink()
    assert remove(images, listed, folder / "out", run_key="k").repeated
    assert (folder / "out/_SUCCESS").exists()
