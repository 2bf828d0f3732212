"""One shard becomes one Parquet file, or none, in a task."""

import gzip
import zlib

import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.unpack import Columns
from dedup_lib.executor.shards.unpack_tasks import NewTable, file_name, unpack_shard
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import names_in
from tests.support.tables.made_shards import tar_of


@pytest.fixture
def unpack(tmp_path):
    """Unpack a shard of the keys 1, 2 and 3: unpack(bitmaps, action, changes of the task)."""
    source = tmp_path / "in/0.TAR"
    source.parent.mkdir()
    source.write_bytes(tar_of("1.jpg", "2.jpg", "3.jpg"))
    table = NewTable(f"file:{tmp_path}/out", Columns(["jpg"], has_ids=False), {})

    def unpack(bitmaps, action="remove", **changed):
        given = task(tmp_path, source, **({"num_rows": 3} | changed))
        return unpack_shard(given, bitmaps, {}, RowSelection(action, "key"), table)

    return unpack


def keys_in(folder):
    return pq.read_table(folder / "out/0.parquet")["__key__"].to_pylist()


@pytest.mark.parametrize(
    ("rows", "action", "keys"),
    [((1,), "remove", ["1", "3"]), ((), "remove", ["1", "2", "3"]), ((1,), "extract", ["2"])],
)
@pytest.mark.parametrize("partial", [True, False], ids=["renamed", "uploaded"])
def test_chosen_samples_are_written(unpack, tmp_path, rows, action, keys, partial):
    changed = {} if partial else {"partial_directory": None}
    done = unpack(bitmap(*rows), action, **changed)
    assert keys_in(tmp_path) == keys
    assert (done.num_rows, done.is_copy) == (len(keys), False)
    assert done.written_bytes == (tmp_path / "out/0.parquet").stat().st_size


@pytest.mark.parametrize(("rows", "action"), [((0, 1, 2), "remove"), ((), "extract")])
def test_a_file_without_rows_is_only_written_if_it_is_the_only_one(unpack, tmp_path, rows, action):
    assert unpack(bitmap(*rows), action).written_bytes == 0
    assert not (tmp_path / "out").exists()
    unpack(bitmap(*rows), action, keeps_empty=True)
    assert keys_in(tmp_path) == []


@pytest.mark.parametrize(
    ("checksum", "changed", "kind"),
    [
        (zlib.crc32(b"1"), {}, "ids"),
        (zlib.crc32(b"2"), {"num_rows": 4}, "changed"),
        (zlib.crc32(b"2"), {"size_bytes": 1024}, "changed"),
    ],
)
def test_another_shard_than_the_planned_one_leaves_no_file(
    unpack, tmp_path, checksum, changed, kind
):
    with pytest.raises(FileRefusedError) as refused:
        unpack(bitmap(1, checksum=checksum), **changed)
    assert refused.value.kind == kind
    assert names_in(tmp_path / "partial") == []
    assert not (tmp_path / "out").exists()


def test_a_compressed_shard_becomes_the_same_file(unpack, tmp_path):
    path = tmp_path / "in/0.TAR"
    path.write_bytes(gzip.compress(path.read_bytes()))
    unpack(bitmap(1), size_bytes=path.stat().st_size)
    assert keys_in(tmp_path) == ["1", "3"]


@pytest.mark.parametrize("suffix", [".tar", ".TAR", ".tar.gz", ".tgz", ".tar.zst"])
def test_a_file_has_the_name_of_its_shard(suffix):
    assert file_name(f"train/v1.tar.0{suffix}") == "train-v1.tar.0.parquet"
