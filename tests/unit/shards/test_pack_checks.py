"""Rows as samples: the check of what was written."""

import io
import itertools
import tarfile

import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.packing import pack, pack_tasks
from dedup_lib.executor.shards.packing.pack import PackedShard, check_packed
from dedup_lib.executor.shards.packing.pack_tasks import pack_file
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import image_rows, names_in, write_parquet
from tests.support.tables.made_shards import END, SOURCE, tar_of
from tests.support.tables.packed import refusal, shards_of


def test_the_shards_are_read_again(tmp_path, monkeypatch):
    """A writer that loses a member would be found, and nothing gets a name."""
    header = pack._header_of
    parts = itertools.count()
    monkeypatch.setattr(
        pack, "_header_of", lambda name, size: header(f"{next(parts)}-{name}", size)
    )
    assert "other members than were written" in refusal(tmp_path, image_rows(["a"]))
    assert names_in(tmp_path / "partial") == []


@pytest.mark.parametrize(
    ("content", "is_right"),
    [
        (tar_of("1.jpg", "1.txt"), True),
        (tar_of("1.jpg"), False),
        (tar_of("1.jpg", "1.txt", "2.txt"), False),
        (tar_of("1.txt", "1.jpg"), False),
    ],
)
def test_a_shard_must_have_the_members_that_were_written(content, is_right):
    expected = PackedShard(1, 0, [("1.jpg", 5), ("1.txt", 5)])
    if is_right:
        check_packed(io.BytesIO(content), len(content), SOURCE, expected)
        content = content.rstrip(b"\0").ljust(2048, b"\0")
    with pytest.raises(FileRefusedError, match="other members"):
        check_packed(io.BytesIO(content), len(content), SOURCE, expected)


def test_an_output_without_rows_is_one_empty_shard(tmp_path):
    source = write_parquet(image_rows(["a"]), tmp_path / "in/1.parquet")
    (tmp_path / "out").mkdir()
    shards = shards_of(tmp_path, 1)
    selection = RowSelection("remove", "image_id")
    assert pack_file(task(tmp_path, source), bitmap(0), {}, selection, shards).num_rows == 0
    content = (tmp_path / "out/0.tar").read_bytes()
    assert content == bytes(tarfile.RECORDSIZE)
    assert content.startswith(END)


def test_a_file_of_which_nothing_is_written_is_not_read(tmp_path, monkeypatch):
    source = write_parquet(image_rows(["a"]), tmp_path / "in/1.parquet")
    monkeypatch.setattr(pack_tasks, "opened", None)
    selection, shards = RowSelection("extract", "image_id"), shards_of(tmp_path, 0)
    assert pack_file(task(tmp_path, source), None, {}, selection, shards).num_rows == 0
    assert pq.read_metadata(source).num_rows == 1
