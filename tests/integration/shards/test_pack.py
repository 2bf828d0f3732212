"""Parquet tables become WebDataset shards: every kept picture, to the byte."""

import json
import logging

import pyarrow as pa
import pytest

from dedup_lib.errors import ColumnTypeError, RunKeyError, TableFormatError
from tests.integration.shards.conftest import keys_in, members_of
from tests.support.tables.made import (
    image_bytes,
    image_rows,
    names_in,
    tree_digest,
    write_list,
    write_parquet,
)


@pytest.fixture
def listed(tmp_path):
    """A removal list that names b."""
    return write_list(tmp_path / "list/1.parquet", ["b"]).parent


def shards_in(directory):
    return {path.name: members_of(path) for path in sorted(directory.iterdir())}


def test_rows_that_stay_become_samples(remove_from, images, listed, tmp_path):
    report = remove_from(images, listed, tmp_path / "out", samples_per_shard=1).as_dict()
    facts = {"caption": "picture 1", "image_id": "d", "tags": ["t1", None], "width": 1}
    found = shards_in(tmp_path / "out")
    assert {name: members[0] for name, members in found.items()} == {
        "00000.tar": ("a.jpg", image_bytes(0)),
        "00001.tar": ("c.jpg", image_bytes(0)),
        "00002.tar": ("d.jpg", image_bytes(1)),
    }
    assert [name for name, _ in found["00002.tar"]] == ["d.jpg", "d.json"]
    assert json.loads(found["00002.tar"][1][1]) == facts
    assert report["engine"] == "arrow"
    assert report["choices"]["shards"] == {"chosen": "3", "keys_by_position": 0}
    assert report["counts"]["kept_rows"] == report["output"]["num_rows"] == 3
    assert names_in(tmp_path) == ["images", "list", "out"]


def test_new_shards_are_an_image_table(remove_from, images, listed, tmp_path):
    """Positions count too: there were no shards before, to which an older list could fit."""
    remove_from(images, listed, tmp_path / "packed")
    cases = {"key": ("c", ["a", "d"]), "json:image_id": ("c", ["a", "d"])}
    cases["curator"] = ("00001_000001", ["a", "c"])
    for id_from, (image_id, keys) in cases.items():
        more = write_list(tmp_path / id_from / "1.parquet", [image_id]).parent
        remove_from(tmp_path / "packed", more, tmp_path / f"out {id_from}", image_id_from=id_from)
        assert keys_in(tmp_path / f"out {id_from}") == keys


def test_shards_that_became_a_table_become_the_same_members(remove_from, shards, tmp_path):
    for listed, images, output, given in (
        ("a1", shards, "table", {"output_format": "parquet"}),
        ("b0", tmp_path / "table", "out", {"image_id_column": "__key__"}),
    ):
        ids = write_list(tmp_path / listed / "1.parquet", [listed]).parent
        remove_from(images, ids, tmp_path / output, **given)
    before = [one for members in shards_in(shards).values() for one in members]
    after = [one for members in shards_in(tmp_path / "out").values() for one in members]
    assert after == [(name, data) for name, data in before if name[:2] not in {"a1", "b0"}]


def test_the_duplicates_alone_and_a_dry_run(remove_from, images, listed, tmp_path):
    remove_from(images, listed, None, dry_run=True)
    assert names_in(tmp_path) == ["images", "list"]
    remove_from(images, listed, tmp_path / "out", action="extract")
    assert [name for name, _ in shards_in(tmp_path / "out")["00000.tar"]] == ["b.jpg", "b.json"]
    remove_from(images, listed, tmp_path / "out", output_mode="overwrite")
    assert list(shards_in(tmp_path / "out")) == ["00000.tar", "00001.tar"]
    assert keys_in(tmp_path / "out") == ["a", "c", "d"]


def test_a_run_key_is_known_again(remove_from, images, listed, tmp_path):
    report = remove_from(images, listed, tmp_path / "out", run_key="k")
    before = tree_digest(tmp_path)
    again = remove_from(images, listed, tmp_path / "out", run_key="k")
    assert (again.repeated, again.counts) == (True, report.counts)
    with pytest.raises(RunKeyError):
        remove_from(images, listed, tmp_path / "out", run_key="k", action="extract")
    assert tree_digest(tmp_path) == before


def test_rows_that_their_id_can_not_name_have_a_key_by_position(
    remove_from, listed, tmp_path, caplog
):
    write_parquet(image_rows(["b", "x.jpg", None]), tmp_path / "images/1.parquet")
    caplog.set_level(logging.WARNING)
    report = remove_from(tmp_path / "images", listed, tmp_path / "out")
    assert keys_in(tmp_path / "out") == ["row-00000-000000001", "row-00000-000000002"]
    assert report.choices["shards"]["keys_by_position"] == 2
    assert "2 samples have a key by position" in caplog.text
    assert "json:image_id" in caplog.text


def test_a_key_that_no_reader_could_read_is_refused(refused, listed, tmp_path):
    rows = image_rows(["a", "b"]).append_column("__key__", pa.array(["a.b", "c"]))
    write_parquet(
        image_rows(["0"]).append_column("__key__", pa.array(["0"])), tmp_path / "images/0.parquet"
    )
    write_parquet(rows, tmp_path / "images/1.parquet")
    words = r"1\.parquet', row 0 \(ID 'a'\): its __key__ 'a\.b' can't be the key"
    refused(TableFormatError, 3, words, tmp_path / "images", listed, output_format="webdataset")


def test_columns_that_can_be_no_members_are_refused_in_a_dry_run(refused, listed, tmp_path):
    rows = pa.table({"image_id": ["a", "b"], "images": [[b"1"], [b"2"]]})
    write_parquet(rows, tmp_path / "images/1.parquet")
    given = {"output_format": "webdataset", "dry_run": True, "output": None}
    refused(ColumnTypeError, 3, "bytes within lists", tmp_path / "images", listed, **given)


def test_values_of_directories_are_in_the_json(remove_from, listed, tmp_path):
    write_parquet(image_rows(["a"]), tmp_path / "images/split=x%3Ay/1.parquet")
    write_parquet(
        image_rows(["b", "c"]), tmp_path / "images/split=__HIVE_DEFAULT_PARTITION__/1.parquet"
    )
    remove_from(tmp_path / "images", listed, tmp_path / "out")
    shards = shards_in(tmp_path / "out").values()
    facts = [json.loads(data) for members in shards for name, data in members if "json" in name]
    assert {one["image_id"]: one["split"] for one in facts} == {"a": "x:y", "c": None}


def test_if_no_row_stays_there_is_one_empty_shard(remove_from, images, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", list("abcd")).parent
    remove_from(images, listed, tmp_path / "out", max_removed_fraction=1.0)
    assert shards_in(tmp_path / "out") == {"00000.tar": []}
