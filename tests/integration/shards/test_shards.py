"""WebDataset shards: samples go with all their members, and what stays keeps its bytes."""

import gzip
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import (
    OutputExistsError,
    RunKeyError,
    UnreadableFileError,
)
from dedup_lib.publish.workspace import Workspace
from dedup_lib.session import file_tasks
from tests.integration.shards.conftest import keys_in, members_of, sample, write_shard
from tests.support.tables.made import image_rows, names_in, tree_digest, write_list, write_parquet
from tests.support.tables.made_shards import member, tar_of


@pytest.mark.parametrize("images_format", ["auto", "webdataset"])
def test_g1_samples_go_with_all_their_members(remove_from, shards, listed, tmp_path, images_format):
    out = tmp_path / "out"
    report = remove_from(shards, listed, out, images_format=images_format).as_dict()
    assert names_in(tmp_path) == ["list", "out", "shards"]
    assert sorted(path.name for path in out.iterdir()) == ["00000.tar", "00001.tar"]
    stayed = [(name, data) for name, data in members_of(shards / "00000.tar") if "a1" not in name]
    assert members_of(out / "00000.tar") == stayed
    assert (out / "00001.tar").read_bytes() == (shards / "00001.tar").read_bytes()
    assert (report["engine"], report["inputs"]["images"]["format"]) == ("arrow", "webdataset")
    counts = report["counts"]
    found = [counts[name] for name in ("input_rows", "removed_rows", "kept_rows")]
    assert [*found, counts["list_unmatched_ids"]] == [6, 1, 5, 1]


def test_compressed_shards_keep_name_and_compression(remove_from, shards, listed, tmp_path):
    content = {path.name: path.read_bytes() for path in shards.iterdir()}
    (shards / "00000.tar").unlink()
    (shards / "00000.tar.gz").write_bytes(gzip.compress(content["00000.tar"]))
    zstd = pa.CompressedOutputStream(str(shards / "00002.tar.zst"), "zstd")
    with zstd:  # the second shard with a1
        zstd.write(content["00000.tar"])
    out = tmp_path / "out"
    report = remove_from(shards, listed, out).as_dict()
    assert report["counts"]["removed_rows"] == 2
    assert names_in(out) == ["00000.tar.gz", "00001.tar", "00002.tar.zst"]
    first = gzip.decompress((out / "00000.tar.gz").read_bytes())
    assert (b"a0.jpg" in first, b"a1.jpg" in first) == (True, False)
    with pa.CompressedInputStream(str(out / "00002.tar.zst"), "zstd") as stream:
        assert stream.read() == first


def test_g3_what_stays_is_the_same_to_the_byte(remove_from, shards, listed, tmp_path):
    """The extended headers, too: a new writer would make other ones."""
    before = (shards / "00000.tar").read_bytes()
    with tarfile.open(shards / "00000.tar") as tar:
        offsets = {info.name: info.offset for info in tar.getmembers()}
    first, last = offsets["a1.jpg"], offsets["a2.jpg"]
    remove_from(shards, listed, tmp_path / "out")
    after = (tmp_path / "out/00000.tar").read_bytes()
    kept = before[:first] + before[last:].rstrip(b"\0")
    assert after.rstrip(b"\0") == kept
    assert len(after) % 10_240 == 0


def test_the_plan_names_samples_by_shard_and_position(remove_from, shards, listed, tmp_path):
    remove_from(shards, listed, None, dry_run=True, removed_output=str(tmp_path / "plan"))
    (row,) = pq.read_table(tmp_path / "plan").to_pylist()
    assert (row["image_id"], row["row_index"]) == ("a1", 1)
    assert row["file_path"].endswith("/shards/00000.tar")
    assert names_in(tmp_path) == ["list", "plan", "shards"]


def test_a_dry_run_without_a_directory_finds_the_same_rows(
    remove_from, shards, listed, tmp_path, monkeypatch
):
    """On a cluster there is none; each task has one shard, and each query two tasks."""
    write_shard(shards / "00002.tar", "c0", "c1")
    reports = []
    for name in ("copied", "listed"):
        plan = str(tmp_path / name)
        reports.append(remove_from(shards, listed, None, dry_run=True, removed_output=plan))
        monkeypatch.setattr(Workspace, "_temporary_directory", lambda *_: None)
        monkeypatch.setattr(file_tasks, "_BYTES_PER_TASK", 1)
        monkeypatch.setattr(file_tasks, "_TASKS_IN_A_QUERY", 2)
    assert reports[0].counts == reports[1].counts
    assert reports[1].counts["input_rows"] == 8
    plans = [pq.read_table(tmp_path / name).to_pylist() for name in ("copied", "listed")]
    assert plans[0] == plans[1]
    write_shard(shards / "00001.tar").write_bytes(b"")
    with pytest.raises(UnreadableFileError, match="the file is empty"):
        remove_from(shards, listed, None, dry_run=True)


def test_ids_in_json(remove_from, shards, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["uid-b2"]).parent
    report = remove_from(shards, listed, tmp_path / "out", image_id_from="json:uid")
    assert report.counts["removed_rows"] == 1
    assert keys_in(tmp_path / "out") == ["a0", "a1", "a2", "b0", "b1"]


def test_a_sample_without_the_field_has_no_id_and_stays(remove_from, tmp_path):
    members = [*sample("a0"), member("a1.jpg", b"1"), member("a1.json", b"[]")]
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/1.tar").write_bytes(tar_of(*members))
    listed = write_list(tmp_path / "list/1.parquet", ["uid-a0"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out", image_id_from="json:uid")
    assert report.counts["null_id_rows"] == 1
    assert keys_in(tmp_path / "out") == ["a1"]


def test_duplicates_alone(remove_from, shards, listed, tmp_path):
    report = remove_from(shards, listed, tmp_path / "out", action="extract")
    assert report.output["num_rows"] == 1
    assert keys_in(tmp_path / "out") == ["a1"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00000.tar"]


def test_a_shard_that_loses_all_is_left_out_and_named(remove_from, shards, tmp_path, caplog):
    listed = write_list(tmp_path / "list/1.parquet", ["a0", "a1", "a2"]).parent
    remove_from(shards, listed, tmp_path / "out")
    assert "1 shards are not written, because none of their samples stays" in caplog.text
    assert "('00000.tar',)" in caplog.text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00001.tar"]


def test_members_of_no_sample_stay_even_if_all_samples_go(remove_from, tmp_path):
    (tmp_path / "shards").mkdir()
    others = ["__x.jpg", "readme", "dir/.h.jpg"]
    (tmp_path / "shards/0.tar").write_bytes(tar_of("1.jpg", *others))
    (tmp_path / "shards/1.tar").write_bytes(tar_of("2.jpg"))
    listed = write_list(tmp_path / "list/1.parquet", ["1"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out")
    assert [name for name, _ in members_of(tmp_path / "out/0.tar")] == others
    assert report.counts["kept_rows"] == 1


def test_an_output_without_samples_is_one_empty_shard(remove_from, shards, tmp_path):
    listed = write_list(tmp_path / "list/1.parquet", ["a0", "a1", "a2", "b0", "b1", "b2"]).parent
    remove_from(shards, listed, tmp_path / "out", max_removed_fraction=1.0)
    (only,) = (tmp_path / "out").iterdir()
    assert members_of(only) == []


def test_shards_in_directories_and_keys_in_two_shards(remove_from, tmp_path):
    write_shard(tmp_path / "shards/a/0.tar", "1", "2")
    write_shard(tmp_path / "shards/b/0.tar", "2", "3")
    listed = write_list(tmp_path / "list/1.parquet", ["2"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out")
    assert report.counts["removed_rows"] == 2
    assert [name for name, _ in members_of(tmp_path / "out/b/0.tar")] == [
        "3.jpg",
        "3.json",
        "3.txt",
    ]


def test_pairs_are_followed_to_their_survivors(remove_from, shards, tmp_path):
    pairs = pa.table({"id": ["a1", "b1"], "keeper_id": ["a0", "a1"]})
    write_parquet(pairs, tmp_path / "list/1.parquet")
    report = remove_from(shards, tmp_path / "list", tmp_path / "out", keeper_column="keeper_id")
    assert report.as_dict()["keepers"]["surviving_here_ids"] == 2
    assert keys_in(tmp_path / "out") == ["a0", "a2", "b0", "b2"]


def test_files_beside_the_shards_are_named_and_not_copied(remove_from, shards, listed, caplog):
    """With the command that makes an index anew."""
    (shards / ".nv-meta").mkdir()
    commands = {
        "00000.tar.idx": "; energon prepare DIRECTORY makes",
        ".nv-meta/index.sqlite": "; energon prepare DIRECTORY makes",
        "00000.idx": "; wds2idx SHARD.tar SHARD.idx makes",
        "index.json": "; widsindex create *.tar --output index.json makes",
        "00000_stats.json": ": [",
        "other.parquet": ": [",
        "00000.parquet": "can't be read",
    }
    for name in commands:
        (shards / name).write_text("{}")
    remove_from(shards, listed, shards.parent / "out", images_format="webdataset")
    assert sorted(path.name for path in (shards.parent / "out").iterdir()) == [
        "00000.tar",
        "00001.tar",
    ]
    warnings = [one for one in caplog.messages if "not copied" in one]
    assert len(warnings) == 5
    for name, command in commands.items():
        (warning,) = (one for one in warnings if f"/{name}'" in one)
        assert command in warning


def test_g7_the_same_key_again_is_not_applied_twice(remove_from, shards, listed, tmp_path):
    first = remove_from(shards, listed, tmp_path / "out", run_key="k")
    before = tree_digest(tmp_path / "out")
    again = remove_from(shards, listed, tmp_path / "out", run_key="k")
    assert (first.as_dict()["repeated"], again.as_dict()["repeated"]) == (False, True)
    assert tree_digest(tmp_path / "out") == before
    with pytest.raises(RunKeyError, match="other settings"):
        remove_from(shards, listed, tmp_path / "out", run_key="k", image_id_from="json:uid")


@pytest.mark.classic("Spark Connect has no renames, so it replaces nothing")
def test_an_output_of_shards_is_replaced_and_no_other(remove_from, shards, listed, tmp_path):
    remove_from(shards, listed, tmp_path / "out")
    listed_too = write_list(tmp_path / "list2/1.parquet", ["b1"]).parent
    remove_from(shards, listed_too, tmp_path / "out", output_mode="overwrite")
    assert keys_in(tmp_path / "out") == ["a0", "a1", "a2", "b0", "b2"]
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"notes\.txt"):
        remove_from(shards, listed, tmp_path / "out", output_mode="overwrite")
    assert (tmp_path / "out/notes.txt").exists()


@pytest.mark.classic("Spark Connect has no renames, so it replaces nothing")
@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_no_directory_of_shards_is_not_replaced(
    remove_from, shards, listed, tmp_path, is_file
):
    mine = tmp_path / "mine.tar" if is_file else tmp_path / "mine/backup.tar"
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"my backup" * 100)
    output = mine if is_file else mine.parent
    with pytest.raises(OutputExistsError, match=r"not replaced"):
        remove_from(shards, listed, output, output_mode="overwrite")
    assert mine.read_bytes() == b"my backup" * 100


def test_a_directory_is_no_shard_by_its_name(remove, listed, tmp_path):
    write_parquet(image_rows(["a1", "b"]), tmp_path / "images.tar/1.parquet")
    report = remove(tmp_path / "images.tar", listed, tmp_path / "out")
    assert report.inputs["images"]["format"] == "parquet"


def test_one_shard_alone(remove_from, shards, listed, tmp_path):
    remove_from(shards / "00000.tar", listed, tmp_path / "out")
    assert keys_in(tmp_path / "out") == ["a0", "a2"]
