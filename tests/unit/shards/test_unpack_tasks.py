"""One shard becomes one Parquet file, or none, in a task."""

import gzip
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.kept_rows import Keeper
from dedup_lib.executor.shards import sample_ids, unpack_tasks
from dedup_lib.executor.shards.unpack import Columns, Mark, write_rows
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

    def unpack(bitmaps, action="remove", **changed):
        columns = Columns(["jpg"], has_ids=False, has_marks=action == "annotate")
        table = NewTable(f"file:{tmp_path}/out", columns, {})
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


def marks_in(folder):
    table = pq.read_table(folder / "out/0.parquet", columns=["is_duplicate", "kept_image_id"])
    assert not table.schema.field("is_duplicate").nullable
    return [tuple(row.values()) for row in table.to_pylist()]


def test_all_samples_stay_and_are_marked(unpack, tmp_path):
    planned = [bitmap(0, 2)[0]._replace(keepers=[Keeper(2, bytearray(b"\xc3\xa9"))])]
    done = unpack(planned, "annotate")
    assert keys_in(tmp_path) == ["1", "2", "3"]
    assert marks_in(tmp_path) == [(True, None), (False, None), (True, "é")]
    assert done.num_rows == 3
    unpack([], "annotate")
    assert marks_in(tmp_path) == [(False, None)] * 3


def test_wrong_marks_are_found(unpack, tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_tasks, "write_rows", without_marks)
    with pytest.raises(FileRefusedError, match="other values than were written"):
        unpack(bitmap(1), "annotate")


def without_marks(rows, columns, target):
    write_rows(rows._replace(marks=[Mark(False, None)] * 3), columns, target)


def test_metadata_is_read_once(tmp_path, monkeypatch):
    """IDs from it are for the check of the plan, and for the column of IDs."""
    (tmp_path / "0.tar").write_bytes(tar_of("1.jpg", "2.jpg"))
    pq.write_table(pa.table({"key": ["1", "2"], "uid": ["x", "y"]}), tmp_path / "0.parquet")
    read, asked = sample_ids.read_metadata_ids, []
    monkeypatch.setattr(
        sample_ids, "read_metadata_ids", lambda *given: asked.append(1) or read(*given)
    )
    table = NewTable(f"file:{tmp_path}/out", Columns(["jpg"], has_ids=True), {})
    given = task(tmp_path, tmp_path / "0.tar", num_rows=2)
    selection = RowSelection("remove", "parquet:uid")
    unpack_shard(given, bitmap(0, checksum=zlib.crc32(b"x")), {}, selection, table)
    rows = pq.read_table(tmp_path / "out/0.parquet", columns=["__key__", "image_id"]).to_pylist()
    assert rows == [{"__key__": "2", "image_id": "y"}]
    assert asked == [1]


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
