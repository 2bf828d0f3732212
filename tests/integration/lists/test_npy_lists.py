"""Lists of 128-bit IDs as DataComp writes them, by numpy."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql.types import StringType

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    AmbiguousListError,
    ColumnTypeError,
    EmptyListError,
    MissingColumnError,
    NotAListError,
    UnreadableFileError,
    UnsupportedError,
)
from dedup_lib.executor import npy_ids, stores
from dedup_lib.executor.npy_ids import IdFile, read_part
from dedup_lib.lists import npy
from dedup_lib.lists.removal_list import read_removal_list
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from tests.support.tables.made import image_rows, write_list, write_parquet

# Halves that begin with zeros, need all bits, or are not the same read from the other end.
HALVES = [(1, 2), (2**64 - 1, 0), (0xABCDEF, 0x0123456789ABCDEF), (0, 2**63), (7, 7)]
IDS = [f"{high:016x}{low:016x}" for high, low in HALVES]


def write_npy(path, halves):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(halves, np.dtype("u8,u8")))
    return path


@pytest.fixture
def images(tmp_path):
    rows = image_rows([*IDS, IDS[2].upper(), None])
    return write_parquet(rows, tmp_path / "images/1.parquet").parent


@pytest.fixture
def planned(spark, images, tmp_path):
    """Plan only: the report, and the IDs that go, as their numbers in HALVES; -1 is another."""

    def planned(location, images=images, **settings):
        shutil.rmtree(tmp_path / "plan", ignore_errors=True)
        report = run(
            spark,
            Settings(
                images=str(images),
                duplicate_ids=(DuplicateIds(str(location)),),
                removed_output=str(tmp_path / "plan"),
                dry_run=True,
                **{"max_removed_fraction": 1.0, **settings},
            ),
        )
        ids = pq.read_table(tmp_path / "plan", columns=["image_id"])["image_id"].to_pylist()
        return report, sorted(IDS.index(one) if one in IDS else -1 for one in ids)

    return planned


@pytest.fixture
def read(spark):
    """The entries of a list, sorted."""

    def read(location, **asked):
        item = DuplicateIds(str(location), **asked)
        listed = read_removal_list(
            Session(spark, open_storage(spark)), item, image_id_type=StringType()
        )
        found = sorted(row["image_id"] for row in listed.frame.collect())
        assert listed.num_rows == len(found)
        return found

    return read


def test_files_of_ids_are_united_and_taken_for_what_to_keep(planned, tmp_path):
    write_npy(tmp_path / "kept/a.npy", [HALVES[2], HALVES[0], (5, 5)])
    last = write_npy(tmp_path / "kept/b.npy", HALVES[2:4])
    write_npy(tmp_path / "kept/c.npy", [])
    (tmp_path / "kept/notes.txt").write_text("2 of 5")
    report, removed = planned(tmp_path / "kept")
    assert removed == [-1, 1, 4]
    expected = {"list_rows": 5, "list_null_ids": 0, "list_distinct_ids": 4, "list_matched_ids": 3}
    assert report.counts | expected == report.counts
    described = report.inputs["duplicate_ids"][0]
    assert {key: value for key, value in described.items() if key != "fingerprint"} == {
        "location": f"file:{tmp_path}/kept",
        "format": "npy",
        "version": None,
        "kind": "keep",
        "taken_for": "DataComp's IDs to keep (.npy)",
        "id_column": "f0,f1",
        "survivors_checked": False,
        "other_columns": [],
        "matched_ids": 3,
    }
    last.unlink()
    other, removed = planned(tmp_path / "kept")
    assert removed == [-1, 1, 3, 4]
    assert other.inputs["duplicate_ids"][0]["fingerprint"] != described["fingerprint"]


def test_the_kind_that_the_user_says_is_obeyed(planned, tmp_path):
    path = write_npy(tmp_path / "of no suffix.npy", HALVES[:2]).rename(tmp_path / "no_suffix")
    report, removed = planned(path, list_kind="remove", duplicate_id_column="uid")
    assert removed == [0, 1]
    assert report.inputs["duplicate_ids"][0]["kind"] == "remove"
    with pytest.raises(MissingColumnError, match="holds only IDs"):
        planned(path, list_kind="pairwise", eps=0.1)


def test_a_file_of_any_length_is_read_part_by_part(read, tmp_path, monkeypatch):
    monkeypatch.setattr(npy_ids, "PART_IDS", 3)
    monkeypatch.setattr(npy, "_PARTS_PER_TASK", 2)
    lengths = {"a": 7, "b": 0, "c": 3, "d": 1, "e": 8, "f": 0}
    wanted = []
    for number, (name, length) in enumerate(lengths.items()):
        halves = [(number, position) for position in range(length)]
        write_npy(tmp_path / f"ids/dt={name}/{name}.npy", halves)
        wanted += [f"{high:016x}{low:016x}" for high, low in halves]
    assert read(tmp_path / "ids") == sorted(wanted)
    assert read(tmp_path / "ids/dt=d/d.npy") == [f"{3:016x}{0:016x}"]


def test_nulls_are_not_looked_for_in_files_that_have_none(spark, tmp_path):
    path = write_npy(tmp_path / "a.npy", HALVES)
    item = DuplicateIds(str(path))
    frame = read_removal_list(
        Session(spark, open_storage(spark)), item, image_id_type=StringType()
    ).frame
    path.unlink()
    assert frame.where("image_id IS NULL").count() == 0


def test_a_file_of_no_ids_is_an_empty_list(planned, tmp_path):
    with pytest.raises(EmptyListError):
        planned(write_npy(tmp_path / "kept.npy", []))


def test_what_is_no_list_of_ids_or_broken_names_the_file(planned, tmp_path):
    whole = write_npy(tmp_path / "kept/1.npy", HALVES).read_bytes()
    path = tmp_path / "kept/2.npy"
    np.save(path, np.zeros(3, "f4"))
    with pytest.raises(NotAListError, match=r"file 'file:.*/kept/2\.npy' is not a list of IDs"):
        planned(path.parent)
    for content in (b"", b"junk", whole[:-16], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=r"file 'file:.*/kept/2\.npy' "):
            planned(path.parent)


def test_g2_integer_image_ids_are_refused(planned, tmp_path):
    rows = image_rows([1, 2], id_type="int64")
    other = write_parquet(rows, tmp_path / "numbered/1.parquet").parent
    with pytest.raises(ColumnTypeError, match="32 hex digits, but the image IDs are bigint"):
        planned(write_npy(tmp_path / "kept.npy", HALVES), other)


def test_a_directory_of_both_formats_is_refused(planned, tmp_path):
    write_npy(tmp_path / "both/1.npy", HALVES)
    write_list(tmp_path / "both/2.parquet", IDS)
    with pytest.raises(AmbiguousListError, match=r"1\.npy' is npy; .*2\.parquet' is parquet"):
        planned(tmp_path / "both", list_kind="keep")


@pytest.mark.classic("pyarrow also lists its files")
def test_executors_without_pyarrow_are_named(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "OLDEST_PYARROW", (999, 0))
    with pytest.raises(UnsupportedError, match=r"older than 999\.0\. Install pyarrow on"):
        planned(write_npy(tmp_path / "kept.npy", HALVES))


def test_a_file_that_changes_during_the_run_is_named(planned, tmp_path, monkeypatch):
    """The first read fails after the file was listed: a Python task's error, told in a line."""
    path = write_npy(tmp_path / "kept.npy", HALVES)
    monkeypatch.setattr(npy, "_check_executors", lambda *_: write_npy(path, HALVES * 2))
    message = r"^file 'file:.*/kept\.npy' was changed since it was listed\. Restore or"
    with pytest.raises(UnreadableFileError, match=message):
        planned(path)


def test_a_file_that_is_gone_is_named(tmp_path):
    gone = IdFile(f"file:{tmp_path}/gone.npy", 144, 128, 1, 0)
    with pytest.raises(npy_ids.FileReadError, match=r"gone\.npy"):
        read_part(0, [gone], {})
