"""--action annotate: all samples stay, and a new member in each says whether it is a duplicate."""

import json

import pyarrow as pa
import pytest

from dedup_lib.errors import TableFormatError, VerificationError
from dedup_lib.executor.shards import rewrite
from tests.integration.shards.conftest import members_of, write_shard
from tests.support.tables.made import names_in, write_list, write_parquet
from tests.support.tables.made_shards import tar_of


def marks_in(directory):
    """The marks of all samples, by key: whether it is a duplicate, and the ID that is kept."""
    members = [one for shard in directory.glob("*.tar") for one in members_of(shard)]
    return {
        name.partition(".")[0]: tuple(json.loads(data).values())
        for name, data in members
        if name.endswith(".dedup.json")
    }


def test_all_samples_stay_and_are_marked(remove_from, shards, tmp_path):
    (shards / "00002.tar").write_bytes(tar_of())
    pairs = pa.table({"id": ["a1", "b1"], "keeper_id": ["a0", "a1"]})
    write_parquet(pairs, tmp_path / "list/1.parquet")
    settings = {"action": "annotate", "keeper_column": "keeper_id"}
    report = remove_from(shards, tmp_path / "list", tmp_path / "out", **settings)
    assert marks_in(tmp_path / "out") == {
        "a0": (False, ""),
        "a1": (True, "a0"),
        "a2": (False, ""),
        "b0": (False, ""),
        "b1": (True, "a0"),
        "b2": (False, ""),
    }
    assert report.output["num_rows"] == 6
    assert report.counts["removed_rows"] == 2
    for name in ("00000.tar", "00001.tar", "00002.tar"):
        new = members_of(tmp_path / "out" / name)
        old = [one for one in new if not one[0].endswith(".dedup.json")]
        assert old == members_of(shards / name)
    names = [name for name, _ in members_of(tmp_path / "out/00000.tar")]
    assert names[:5] == ["a0.jpg", "a0.json", "a0.txt", "a0.dedup.json", "a1.jpg"]


def test_samples_with_a_mark_are_refused_before_anything_is_written(
    remove_from, refused, shards, listed
):
    marked = shards.parent / "marked"
    remove_from(shards, listed, marked, action="annotate")
    assert marks_in(marked)["a1"] == (True, "")
    settings = {"action": "annotate", "output_format": "webdataset"}
    words = r"00000\.tar': the sample 'a0' has 'a0\.dedup\.json' already"
    for dry_run in (True, False):
        refused(TableFormatError, 3, words, marked, listed, dry_run=dry_run, **settings)
    remove_from(marked, listed, shards.parent / "out")
    assert "a1" not in marks_in(shards.parent / "out")


def test_marks_are_counted_in_what_was_written(remove_from, shards, listed, tmp_path, monkeypatch):
    """As if no sample had been marked as a duplicate."""
    make_marks = rewrite.make_marks
    monkeypatch.setattr(rewrite, "make_marks", lambda samples, *_: make_marks(samples, (), {}))
    with pytest.raises(VerificationError, match="the plan marks 1 rows, but 0"):
        remove_from(shards, listed, tmp_path / "out", action="annotate")
    assert names_in(tmp_path) == ["list", "shards"]


def test_a_key_whose_members_lie_apart_can_not_be_marked(remove_from, refused, tmp_path):
    write_shard(tmp_path / "shards/0.tar", "a0", "a1", "a0")
    listed = write_list(tmp_path / "list/1.parquet", ["a1"]).parent
    words = "'a0' has members that lie apart"
    settings = {"action": "annotate", "output_format": "webdataset"}
    refused(TableFormatError, 3, words, tmp_path / "shards", listed, **settings)
