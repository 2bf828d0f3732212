"""Shards become an image table, Parquet or Delta: a sample is a row, a suffix is a column."""

import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import TableFormatError
from tests.integration.shards.conftest import members_of, write_shard
from tests.support.tables.made import names_in, tree_digest, write_list
from tests.support.tables.made_shards import member, tar_of


def rows_of(*shards, without=()):
    """What the rows must be, as Python's tarfile reads the shards."""
    rows = {}
    for path in shards:
        for name, data in members_of(path):
            key, _, suffix = name.partition(".")
            if key not in without:
                row = rows.setdefault(key, {"__key__": key, "__url__": f"file:{path}"})
                row[suffix] = data
    return list(rows.values())


def files_in(directory):
    return sorted(path.name for path in directory.iterdir() if path.name[0] not in "._")


def test_samples_become_rows_of_parquet(remove, shards, listed, tmp_path):
    out = tmp_path / "out"
    assert remove(shards, listed, None, dry_run=True).as_dict()["engine"] == "arrow"
    report = remove(shards, listed, out, run_key="k").as_dict()
    assert files_in(out) == ["00000.parquet", "00001.parquet"]
    table = pq.read_table(out)
    assert table.schema.names == ["__key__", "__url__", "jpg", "json", "txt"]
    expected = rows_of(shards / "00000.tar", shards / "00001.tar", without=["a1"])
    assert table.to_pylist() == expected
    counts = report["counts"]
    found = [counts[name] for name in ("input_rows", "removed_rows", "kept_rows")]
    assert (report["engine"], *found) == ("arrow", 6, 1, 5)
    assert [name for name in names_in(tmp_path) if name[0] != "."] == ["list", "out", "shards"]
    assert remove(shards, listed, out, run_key="k").as_dict()["repeated"]


@pytest.mark.classic("over Spark Connect a Delta table is made by a commit")
def test_samples_become_rows_of_delta(remove, spark, shards, listed, tmp_path):
    out, given = tmp_path / "out", {"output_format": "delta", "run_key": "k"}
    report = remove(shards, listed, out, **given).as_dict()
    assert (report["engine"], report["output"]["version"]) == ("arrow", 0)
    rows = [row.asDict() for row in spark.read.format("delta").load(str(out)).collect()]
    expected = rows_of(shards / "00000.tar", shards / "00001.tar", without=["a1"])
    assert sorted(rows, key=lambda row: row["__key__"]) == expected
    before = tree_digest(out)
    assert remove(shards, listed, out, **given).as_dict()["repeated"]
    assert tree_digest(out) == before


def test_a_missing_member_is_null_and_directories_become_names(remove, listed, tmp_path):
    """Readers of tables look for files in the directory itself alone."""
    first = write_shard(tmp_path / "shards/train/0.tar", "a0", "a1")
    second = tmp_path / "shards/0.TAR"
    second.write_bytes(tar_of(member("b0.seg.PNG", b"png"), member("b0.jpg", b"jpg"), "a1.txt"))
    remove(tmp_path / "shards", listed, tmp_path / "out")
    assert files_in(tmp_path / "out") == ["0.parquet", "train-0.parquet"]
    (row,) = rows_of(first, without=["a1"])
    none = dict.fromkeys(["jpg", "json", "seg.png", "txt"])
    other = {"__key__": "b0", "__url__": f"file:{second}", "jpg": b"jpg", "seg.png": b"png"}
    assert pq.read_table(tmp_path / "out").to_pylist() == [none | other, none | row]


@pytest.mark.parametrize(
    ("id_from", "listed_id"), [("json:uid", "uid-b1"), ("curator", "00001_000001")]
)
def test_ids_that_are_no_keys_have_a_column(remove, shards, tmp_path, id_from, listed_id):
    listed = write_list(tmp_path / "list/1.parquet", [listed_id]).parent
    remove(shards, listed, tmp_path / "out", image_id_from=id_from)
    table = pq.read_table(tmp_path / "out")
    assert table.schema.names[:3] == ["__key__", "__url__", "image_id"]
    assert table["__key__"].to_pylist() == ["a0", "a1", "a2", "b0", "b2"]
    last = {"json:uid": "uid-b2", "curator": "00001_000002"}
    assert table["image_id"].to_pylist()[4] == last[id_from]


def test_duplicates_alone_and_no_row_at_all(remove, shards, listed, tmp_path):
    remove(shards, listed, tmp_path / "a1", action="extract")
    assert files_in(tmp_path / "a1") == ["00000.parquet"]
    assert pq.read_table(tmp_path / "a1")["__key__"].to_pylist() == ["a1"]
    all_ids = ["a0", "a1", "a2", "b0", "b1", "b2"]
    listed = write_list(tmp_path / "all/1.parquet", all_ids).parent
    remove(shards, listed, tmp_path / "none", max_removed_fraction=1.0)
    table = pq.read_table(tmp_path / "none")
    assert (table.num_rows, table.schema.names[2:]) == (0, ["jpg", "json", "txt"])


UNFIT = {
    "two of one suffix": (["1.jpg", "1.JPG"], r"0\.tar' has the sample '1'.* two members"),
    "keys with dots": ([f"v1.{n}_cat.jpg" for n in range(101)], "more than 100 suffixes"),
    "no sample": (["1.jpg", "readme"], "'readme', which belongs to no sample"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_what_a_table_can_not_hold_is_refused(refused, listed, tmp_path, fault):
    names, words = UNFIT[fault]
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/0.tar").write_bytes(tar_of(*names))
    refused(
        TableFormatError, 3, f"{words}.*--output-format webdataset", tmp_path / "shards", listed
    )


def test_shards_that_would_become_one_file_are_refused(refused, listed, tmp_path):
    for name in ("a/0.tar", "a-0.tar"):
        write_shard(tmp_path / "shards" / name, "a1", "a2")
    refused(TableFormatError, 3, r"both become 'a-0\.parquet'", tmp_path / "shards", listed)
