"""The metadata files that img2dataset writes beside shards: IDs from them, and what is written."""

import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import (
    InputChangedError,
    OutputExistsError,
    PlanMismatchError,
    UnreadableFileError,
    VerificationError,
)
from dedup_lib.webdataset.shard_engine import ShardEngine
from tests.integration.shards.conftest import keys_in, write_metadata, write_shard
from tests.support.tables.made import names_in, write_list

BY_UID = {"image_id_from": "parquet:uid"}


@pytest.fixture
def with_metadata(shards):
    """Shards with metadata in order of arrival; for b1 there is no row."""
    write_metadata(shards / "00000.tar", "a2", "failed1", "a0", "a1")
    write_metadata(shards / "00001.tar", "b2", "b0", "failed2")
    return shards


@pytest.fixture
def listed_uids(tmp_path):
    return write_list(tmp_path / "list/1.parquet", ["uid-a1", "uid-failed1"]).parent


def test_ids_in_the_metadata(remove_from, with_metadata, listed_uids, tmp_path):
    report = remove_from(with_metadata, listed_uids, tmp_path / "out", **BY_UID)
    assert keys_in(tmp_path / "out") == ["a0", "a2", "b0", "b1", "b2"]
    assert (report.counts["null_id_rows"], report.counts["list_unmatched_ids"]) == (1, 1)


def test_a_shard_without_metadata_is_refused(refused, with_metadata, listed_uids):
    (with_metadata / "00001.parquet").unlink()
    words = r"00001\.parquet' does not exist"
    given = BY_UID | {"output_format": "webdataset"}
    refused(UnreadableFileError, 3, words, with_metadata, listed_uids, **given)


def test_g10_metadata_that_changes_during_the_run_ends_it(
    remove_from, with_metadata, listed_uids, tmp_path, monkeypatch
):
    write = ShardEngine.write

    def changing(self, *arguments):
        write_metadata(with_metadata / "00000.tar", "a2", "failed1", "a1", "a0", uid=[*"wxyz"])
        return write(self, *arguments)

    monkeypatch.setattr(ShardEngine, "write", changing)
    with pytest.raises(VerificationError, match="other IDs than the plan"):
        remove_from(with_metadata, listed_uids, tmp_path / "out", **BY_UID)
    assert names_in(tmp_path) == ["list", "shards"]


@pytest.mark.parametrize(
    ("is_alone", "is_deleted"), [(True, False), (False, True)], ids=["one shard", "all shards"]
)
def test_g8_metadata_that_changes_ends_the_run_also_if_it_has_no_ids(
    remove_from, with_metadata, tmp_path, monkeypatch, is_alone, is_deleted
):
    """That of the shard that loses nothing, too: it would be copied."""
    write, shard = ShardEngine.write, with_metadata / "00001.tar"

    def changing(self, *arguments):
        shard.with_suffix(".parquet").unlink()
        if not is_deleted:
            write_metadata(shard, "b2", "b0", "b1", "b1")
        return write(self, *arguments)

    monkeypatch.setattr(ShardEngine, "write", changing)
    listed = write_list(tmp_path / "list/1.parquet", ["a1", "x"]).parent
    with pytest.raises(InputChangedError, match=r"00001\.parquet' of the image table was changed"):
        remove_from(
            shard if is_alone else with_metadata,
            listed,
            tmp_path / "out",
            allow_no_matches=is_alone,
        )
    assert names_in(tmp_path) == ["list", "shards"]


def test_a_kept_plan_is_for_the_same_metadata(remove, with_metadata, listed_uids, tmp_path):
    given = BY_UID | {"output_format": "webdataset"}
    plan = str(tmp_path / "plan")
    remove(with_metadata, listed_uids, None, dry_run=True, removed_output=plan, **given)
    write_metadata(with_metadata / "00001.tar", "b2", "b1", "b0")
    with pytest.raises(PlanMismatchError, match="fingerprint of the files"):
        remove(with_metadata, (), tmp_path / "out", apply_plan=plan, **given)


def rows_of(path):
    return pq.read_table(path).to_pylist()


def test_metadata_goes_with_the_shards(remove_from, with_metadata, tmp_path, caplog):
    """Rows of images that failed stay; what loses nothing is copied to the byte."""
    write_shard(with_metadata / "00002.tar", "c0", "c1")
    write_metadata(with_metadata / "00002.tar", "c0", "c1", "failed3")
    listed = write_list(tmp_path / "list/1.parquet", ["a1", "c0", "c1", "failed1"]).parent
    out = tmp_path / "out"
    report = remove_from(with_metadata, listed, out)
    names = ["00000.parquet", "00000.tar", "00001.parquet", "00001.tar"]
    assert sorted(path.name for path in out.iterdir()) == names
    before = rows_of(with_metadata / "00000.parquet")
    assert rows_of(out / "00000.parquet") == [row for row in before if row["key"] != "a1"]
    copied = (out / "00001.parquet").read_bytes()
    assert copied == (with_metadata / "00001.parquet").read_bytes()
    assert report.bytes["output"] == sum(path.stat().st_size for path in out.iterdir())
    assert "not copied" not in caplog.text


def test_metadata_of_duplicates_alone(remove_from, with_metadata, listed_uids, tmp_path):
    out = tmp_path / "out"
    remove_from(with_metadata, listed_uids, out, action="extract", **BY_UID)
    assert sorted(path.name for path in out.iterdir()) == ["00000.parquet", "00000.tar"]
    assert [row["key"] for row in rows_of(out / "00000.parquet")] == ["a1"]


def test_metadata_of_one_shard_alone(remove_from, with_metadata, listed_uids, tmp_path):
    remove_from(with_metadata / "00000.tar", listed_uids, tmp_path / "out", **BY_UID)
    assert [row["key"] for row in rows_of(tmp_path / "out/00000.parquet")] == [
        "a2",
        "failed1",
        "a0",
    ]


@pytest.mark.classic("Spark Connect has no renames, so it replaces nothing")
def test_an_output_with_metadata_is_read_and_replaced(
    remove_from, with_metadata, listed_uids, tmp_path
):
    out, more = tmp_path / "out", write_list(tmp_path / "more/1.parquet", ["uid-b0"]).parent
    remove_from(with_metadata, listed_uids, out, **BY_UID)
    remove_from(out, more, tmp_path / "again", **BY_UID)
    assert keys_in(tmp_path / "again") == ["a0", "a2", "b1", "b2"]
    assert [row["key"] for row in rows_of(tmp_path / "again/00001.parquet")] == ["b2", "failed2"]
    remove_from(with_metadata, more, out, output_mode="overwrite", **BY_UID)
    assert keys_in(out) == ["a0", "a1", "a2", "b1", "b2"]
    (out / "00000.tar").unlink()
    with pytest.raises(OutputExistsError, match=r"00000\.parquet', which is no shard"):
        remove_from(with_metadata, more, out, output_mode="overwrite", **BY_UID)


def test_ids_in_the_metadata_become_a_column_of_a_table(
    remove, with_metadata, listed_uids, tmp_path, caplog
):
    remove(with_metadata, listed_uids, tmp_path / "out", **BY_UID)
    ids = ["uid-a0", "uid-a2", "uid-b0", None, "uid-b2"]
    assert pq.read_table(tmp_path / "out")["image_id"].to_pylist() == ids
    assert "2 files beside the shards are not copied" in caplog.text
