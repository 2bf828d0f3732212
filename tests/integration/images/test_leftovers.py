"""Files without rows that other programs leave are passed over aloud, by a closed list."""

import logging
import re

import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import (
    OutputExistsError,
    TableFormatError,
    UnreadableFileError,
    UnsupportedError,
)
from dedup_lib.parquet.format import ParquetFormat
from dedup_lib.session import storage
from tests.support.processes.runs import ids
from tests.support.tables.made import image_rows, names_in, row_digests, write_parquet

MAGIC = "__magic_job-0d3a1b6e-1-2"
STAGED = f"{MAGIC}/tasks/attempt_1/__base/part-0.parquet"


@pytest.fixture
def logged(caplog):
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        yield caplog


def warnings(logged):
    return [one.getMessage() for one in logged.records if "passed over" in one.getMessage()]


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def add_leftovers(images):
    """What img2dataset, EMR and S3A's magic committer leave in a table of the files 1 and 2."""
    touch(images / "1_stats.json", '{"count": 2}')
    touch(images / "2_stats.json", '{"count": 2}')
    touch(images / "sub_$folder$")
    touch(images / "_temporary_$folder$")
    touch(images / STAGED)
    touch(images / f"{STAGED}.pending", "{}")
    touch(images / f"{MAGIC}/job_1/task_1.pendingset", "{}")


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g4_leftovers_are_passed_over_aloud(
    spark, remove, images, listed, tmp_path, logged, engine
):
    write_parquet(image_rows(["e", "f"]), images / "stats.json")  # what is data, by any name
    write_parquet(image_rows(["g"]), images / "json")
    expected = row_digests(spark.read.parquet(str(images)).where("image_id != 'b'"))
    add_leftovers(images)
    remove(images, listed, tmp_path / "out", engine=engine)
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected
    (said,) = warnings(logged)
    assert re.match(r"image table 'file:.*/images': passed over files that hold no rows: ", said)
    assert "2 (empty markers of directories), such as 'file:" in said
    assert re.search(
        r"2 \(statistics of img2dataset\), such as 'file:.*/images/1_stats.json'", said
    )
    assert "3 (notes of an unfinished job of S3A's magic committer), such as 'file:" in said
    assert not [path for path in (tmp_path / "out").rglob("*") if "_stats" in path.name]


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_g4_leftovers_beside_partitions_are_no_partitions(remove, listed, tmp_path, logged, engine):
    images = tmp_path / "images"
    for number, name in enumerate("abcd"):
        place = images / f"p=00{number % 2}" / f"q={name}" / f"{number}.parquet"
        write_parquet(image_rows([name]), place)
    for name in ("p=000", "p=001", "p=001/q=d", "p=000/q=a/x"):
        touch(images / f"{name}_$folder$")
    touch(images / "p=000/q=a/0_stats.json", "{}")
    remove(images, listed, tmp_path / "out", engine=engine)
    found = sorted(
        (str(path.parent.relative_to(tmp_path / "out")), pq.read_table(path)["image_id"][0].as_py())
        for path in (tmp_path / "out").rglob("*.parquet")
    )
    assert found == [("p=000/q=a", "a"), ("p=000/q=c", "c"), ("p=001/q=d", "d")]
    assert "4 (empty markers of directories)" in warnings(logged)[0]


def test_g4_rows_are_found_by_their_positions_beside_leftovers(remove, images, listed, tmp_path):
    add_leftovers(images)
    settings = {"engine": "spark", "strategy": "row-positions"}
    remove(images, listed, tmp_path / "out", **settings)
    kept = tmp_path / "kept"
    report = remove(images, listed, tmp_path / "more", removed_output=str(kept))
    assert report.counts["kept_rows"] == 3
    assert sorted(pq.read_table(tmp_path / "out")["image_id"].to_pylist()) == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("3_stats.json", "{}", UnreadableFileError),  # its shard is missing
        ("a_stats.json", "{}", UnreadableFileError),
        ("1_stats.csv", "{}", UnreadableFileError),
        ("stats.json", "{}", UnreadableFileError),
        ("sub_$folder$", "rows?", UnreadableFileError),
        ("sub$folder$", "", UnreadableFileError),
        ("_temporary/0_$folder$", "", TableFormatError),
        (STAGED, "rows?", TableFormatError),
        (f"{MAGIC}.parquet", "", TableFormatError),
        (f"_x/{STAGED}", "", TableFormatError),
        ("__magic/x.pending", "", TableFormatError),
        ("1.csv", "id\nb", UnreadableFileError),
        ("1.arrow", "ARROW1", UnreadableFileError),
        ("1.parquet.tmp", "PAR1", UnreadableFileError),
    ],
)
def test_g4_what_may_hold_rows_is_refused(refused, images, listed, name, text, error):
    add_leftovers(images)
    touch(images / name, text)
    message = re.escape(f"/images/{name}'")
    refused(error, 3, message, images, listed, output=None, dry_run=True)


def test_a_file_that_is_given_itself_is_no_leftover(refused, images, listed):
    add_leftovers(images)
    place = images / "1_stats.json"
    refused(UnreadableFileError, 3, "1_stats.json", place, listed, output=None, dry_run=True)


def test_a_clone_would_take_leftovers_for_data(remove, refused, images, listed, tmp_path):
    touch(images / STAGED)
    remove(images, listed, tmp_path / "one", method="clone")
    add_leftovers(images)
    message = r"Delta would take 'file:.*/images/1_stats.json' for a data file.*--method rewrite"
    refused(UnsupportedError, 2, message, images, listed, method="clone")


def test_g5_statistics_are_not_replaced_by_an_output(remove, refused, images, listed, tmp_path):
    remove(images, listed, tmp_path / "out")
    touch(tmp_path / "out/sub_$folder$")
    touch(tmp_path / "out" / STAGED)
    overwrite = {"output_mode": "overwrite"}
    remove(images, listed, tmp_path / "out", **overwrite)
    touch(tmp_path / "out/1_stats.json", "{}")
    message = "is not a Parquet table, so it is not replaced: .*/out/1_stats.json"
    refused(OutputExistsError, 5, message, images, listed, **overwrite)


@pytest.mark.parametrize("is_marked", [False, True])
def test_g6_an_unfinished_job_of_the_committer_is_not_published(
    spark, remove, images, listed, tmp_path, monkeypatch, is_marked
):
    """hadoop#7693: the committer may leave its directory in what it wrote."""
    if is_marked:
        monkeypatch.setattr(storage, "ATOMIC_RENAME_SCHEMES", frozenset())
    stage = ParquetFormat.stage

    def leave(self, session, target, writer, attempt, **more):
        staged = stage(self, session, target, writer, attempt, **more)
        for name in (STAGED, f"{STAGED}.pending"):
            session.storage.make_directory(f"{staged.location}/{name}".rpartition("/")[0])
            session.storage.write_text(f"{staged.location}/{name}", "")
        return staged

    monkeypatch.setattr(ParquetFormat, "stage", leave)
    remove(images, listed, tmp_path / "out", engine="spark")
    assert ids(spark, tmp_path / "out") == ["a", "c", "d"]
    assert not [name for name in names_in(tmp_path / "out") if "magic" in name]
