"""--action annotate: all samples stay, and a new member in each says whether it is a duplicate."""

import json

import pyarrow as pa
import pytest

from dedup_lib.errors import TableFormatError, VerificationError
from dedup_lib.executor.shards import rewrite
from tests.integration.shards.conftest import members_of, write_shard
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet
from tests.support.tables.made_shards import tar_of


def marks_in(directory):
    """The marks of all samples, by key: whether it is a duplicate, and the ID that is kept."""
    members = [one for shard in directory.glob("*.tar") for one in members_of(shard)]
    return {
        name.partition(".")[0]: tuple(json.loads(data).values())
        for name, data in members
        if name.endswith(".dedup.json")
    }


@pytest.fixture
def pairs(tmp_path):
    """A list that says that a1 goes and a0 stays, and that b1 goes and a1 stays."""
    rows = pa.table({"id": ["a1", "b1"], "keeper_id": ["a0", "a1"]})
    return write_parquet(rows, tmp_path / "list/1.parquet").parent


MARKED = {"action": "annotate", "keeper_column": "keeper_id"}


def test_all_samples_stay_and_are_marked(remove_from, shards, pairs, tmp_path):
    (shards / "00002.tar").write_bytes(tar_of())
    report = remove_from(shards, pairs, tmp_path / "out", **MARKED)
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


@pytest.mark.parametrize(
    "output_format",
    [
        "parquet",
        pytest.param("delta", marks=pytest.mark.classic("Connect makes Delta by a commit")),
    ],
)
def test_samples_become_marked_rows_of_a_table(
    remove, spark, shards, pairs, tmp_path, output_format
):
    given = MARKED | {"output_format": output_format}
    assert remove(shards, pairs, None, dry_run=True, **given).as_dict()["engine"] == "arrow"
    report = remove(shards, pairs, tmp_path / "out", **given)
    table = spark.read.format(output_format).load(str(tmp_path / "out"))
    marks = ["is_duplicate", "kept_image_id"]
    assert table.columns == ["__key__", "__url__", "jpg", "json", "txt", *marks]
    found = {row["__key__"]: row[1:] for row in table.select("__key__", *marks).collect()}
    stays, goes = (False, None), (True, "a0")
    assert found == dict.fromkeys(["a0", "a2", "b0", "b2"], stays) | dict.fromkeys(
        ["a1", "b1"], goes
    )
    assert (report.output["num_rows"], report.counts["removed_rows"]) == (6, 2)


def test_rows_become_marked_samples(remove_from, pairs, tmp_path):
    for name, ids in {"1": ["a0", "a1"], "2": ["b0", "b1"], "3": ["c"]}.items():
        write_parquet(image_rows(ids), tmp_path / f"images/{name}.parquet")
    assert remove_from(tmp_path / "images", pairs, None, dry_run=True, **MARKED).engine == "arrow"
    report = remove_from(tmp_path / "images", pairs, tmp_path / "out", **MARKED)
    stays, goes = (False, ""), (True, "a0")
    found = marks_in(tmp_path / "out")
    assert found == {"a0": stays, "a1": goes, "b0": stays, "b1": goes, "c": stays}
    assert (report.output["num_rows"], report.counts["removed_rows"]) == (5, 2)
    assert len(names_in(tmp_path / "out")) == 3


def test_a_suffix_that_is_a_column_of_marks_is_refused(refused, listed, tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/0.tar").write_bytes(tar_of("a1.jpg", "a2.IS_DUPLICATE"))
    words = "have the suffix 'is_duplicate' already.*--output-format webdataset"
    refused(TableFormatError, 3, words, tmp_path / "shards", listed, action="annotate")


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
