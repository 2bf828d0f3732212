"""Links and odd names lead nothing that is written or deleted out of its place."""

import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from dedup_lib import Report
from dedup_lib.errors import TableFormatError, UnreadableFileError
from dedup_lib.publish.owners import owner_text
from dedup_lib.publish.swap import repair
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.layout.partitions import relative_parts
from tests.support.tables.made import image_rows, names_in, tree_digest, write_list, write_parquet


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["b"]).parent


@pytest.fixture
def outside(tmp_path):
    """Files that are none of the run's business, and must be there afterwards as they were."""
    write_parquet(image_rows(["x", "b"]), tmp_path / "outside/p=2/2.parquet")
    (tmp_path / "outside/other.txt").write_text("x")
    before = tree_digest(tmp_path / "outside")
    yield tmp_path / "outside"
    assert tree_digest(tmp_path / "outside") == before


@pytest.mark.classic("a Parquet directory is not replaced")
@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g5_what_links_lead_to_is_read_and_left_as_it_was(
    spark, remove, tmp_path, outside, listed, engine
):
    """A directory and a file behind links; the output that is replaced also holds links."""
    write_parquet(image_rows(["a", "b"]), tmp_path / "images/p=1/1.parquet")
    (tmp_path / "images/p=2").symlink_to(outside / "p=2")
    (tmp_path / "images/p=1/3.parquet").symlink_to(outside / "p=2/2.parquet")
    old = write_parquet(image_rows(["old"]), tmp_path / "elsewhere/old/p=1/1.parquet").parent.parent
    (old / "p=2").symlink_to(outside / "p=2")
    (tmp_path / "out").symlink_to(old)
    (tmp_path / "linked-list").symlink_to(listed)
    settings = {"engine": engine, "output_mode": "overwrite"}
    remove(tmp_path / "images", tmp_path / "linked-list", tmp_path / "out", **settings)
    kept = sorted(row.image_id for row in spark.read.parquet(f"{tmp_path}/out").collect())
    assert kept == ["a", "x", "x"]
    assert (tmp_path / "out").is_symlink()
    assert not [path for path in old.rglob("*") if path.is_symlink()]
    assert names_in(tmp_path / "elsewhere") == ["old"]


@pytest.mark.classic("links on the server's disk are not followed: Spark goes round")
@pytest.mark.parametrize("target", [".", ".."])
def test_g4_a_link_back_to_what_holds_it_is_refused(remove, tmp_path, listed, target):
    """The message names the link, not the fortieth turn of the way through it."""
    write_parquet(image_rows(["a", "b"]), tmp_path / "images/p=1/1.parquet")
    for name in ("q=1", "q=2"):
        (tmp_path / "images/p=1" / name).symlink_to(target)
    with pytest.raises(UnreadableFileError, match="link back to"):
        remove(tmp_path / "images", listed, tmp_path / "out")


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g5_a_partition_named_like_a_way_out_stays_where_it_is(
    remove, tmp_path, outside, listed, engine
):
    values = ["..", "%2e%2e", "..%2F..%2Foutside", "%2Ftmp", "."]
    for number, value in enumerate(values):
        table = image_rows([f"{number}", "b"])
        write_parquet(table, tmp_path / f"images/p={value}/a..{number}.parquet")
    before = names_in(tmp_path)
    remove(tmp_path / "images", listed, tmp_path / "deep/er/out", engine=engine)
    written = list((tmp_path / "deep/er/out").rglob("*.parquet"))
    assert sum(pq.read_metadata(path).num_rows for path in written) == len(values)
    assert all(path.parent.parent == tmp_path / "deep/er/out" for path in written)
    assert names_in(tmp_path / "deep/er") == ["out"]
    assert names_in(tmp_path) == sorted([*before, "deep"])


@pytest.mark.parametrize("path", ["s3a://b/images/../x", "s3a://b/x", "s3a://b/images/p=1/../../x"])
def test_g5_a_file_that_a_store_lists_elsewhere_is_refused(path):
    with pytest.raises(TableFormatError, match="is not in"):
        relative_parts("s3a://b/images", FileInfo(path, 1, 1))


def test_g5_what_a_dead_run_left_is_deleted_without_what_its_links_lead_to(
    remove, tmp_path, outside, listed
):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    owner = json.loads(owner_text("x")) | {"pid": int(dead.stdout)}
    images = write_parquet(image_rows(["a", "b"]), tmp_path / "images/1.parquet").parent
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/owner.json").write_text(json.dumps(owner))
    (tmp_path / "mine/linked").symlink_to(outside)
    (tmp_path / ".out.dedup-abc").mkdir()
    (tmp_path / ".out.dedup-abc/owner.json").write_text(json.dumps(owner))
    (tmp_path / ".out.dedup-abc/output").symlink_to(outside)
    (tmp_path / ".out.dedup-def").symlink_to(tmp_path / "mine")
    remove(images, listed, tmp_path / "out")
    assert names_in(tmp_path) == ["images", "list", "mine", "out", "outside"]
    assert names_in(tmp_path / "mine") == ["linked", "owner.json"]


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("way", ["{outside}", "{sibling}/../outside", "{sibling}x", "null", "[1]"])
def test_g5_a_journal_can_name_nothing_but_what_a_run_moved_away(
    spark, tmp_path, outside, is_there, way
):
    """Who may write beside the output can't have other places moved or deleted by it."""
    if is_there:
        write_parquet(image_rows(["a"]), tmp_path / "out/1.parquet")
    old = way.format(outside=f"file:{outside}", sibling=f"file:{tmp_path}/.out.dedup-old-")
    journal = {"old": old} if way.startswith("{") else json.loads(way)
    (tmp_path / ".out.dedup-journal").write_text(json.dumps(journal))
    repair(open_storage(spark), str(tmp_path / "out"), "attempt")
    assert names_in(tmp_path) == (["out", "outside"] if is_there else ["outside"])


def test_g5_a_report_goes_through_no_link_that_waits_for_it(tmp_path, outside):
    (tmp_path / f".report.json.{os.getpid()}").symlink_to(outside / "other.txt")
    (tmp_path / "linked.json").symlink_to(outside / "none.json")
    for name in ("report.json", "linked.json"):
        Report().save(str(tmp_path / name), None)
        assert json.loads((tmp_path / name).read_text())["status"] == "failed"
    assert names_in(tmp_path) == ["linked.json", "outside", "report.json"]
