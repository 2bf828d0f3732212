"""Rows of one Parquet file as samples of shards: which rows, and the same bytes each time."""

import hashlib
import json
import tarfile
import zlib

import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.packing.pack_tasks import pack_file
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import image_bytes, image_rows, write_parquet
from tests.support.tables.packed import packed, shards_of


def test_a_shard_has_the_rows_that_stay_in_order(tmp_path):
    first, second = packed(tmp_path, image_rows(list("abcde")), 1, each=3)
    assert [name for name, _ in first] == ["a.jpg", "a.json", "c.jpg", "c.json", "d.jpg", "d.json"]
    assert [(name, data) for name, data in second if "json" not in name] == [
        ("e.jpg", image_bytes(4))
    ]
    assert json.loads(dict(first)["c.json"]) == {
        "caption": "picture 2",
        "image_id": "c",
        "tags": ["t2", None],
        "width": 2,
    }


def test_the_duplicates_alone(tmp_path):
    shards = packed(tmp_path, image_rows(list("abcde")), 1, 4, action="extract")
    assert [name for name, _ in shards[0]] == ["b.jpg", "b.json", "e.jpg", "e.json"]


@pytest.mark.parametrize("partial", [None, "partial"])
def test_the_same_rows_give_the_same_bytes(tmp_path, partial):
    """The headers too: no clock, no owner, and no PAX header."""
    digests = []
    for folder in (tmp_path / "1", tmp_path / "2"):
        uri = partial and f"file:{folder}/partial"
        packed(folder, image_rows(["a", "b"]), partial_directory=uri)
        digests.append(hashlib.sha256((folder / "out/0.tar").read_bytes()).hexdigest())
        assert not list(folder.glob("partial/*"))
    assert digests[0] == digests[1]
    with tarfile.open(tmp_path / "1/out/0.tar") as tar:
        info = tar.getmembers()[-1]
    assert (info.mtime, info.uid, info.gid, info.uname, info.mode) == (0, 0, 0, "", 0o644)
    assert info.pax_headers == {}
    assert (tmp_path / "1/out/0.tar").stat().st_size % tarfile.RECORDSIZE == 0


def test_other_ids_at_planned_positions_are_refused(tmp_path):
    """As if the file had been changed."""
    source = write_parquet(image_rows(["a", "b"]), tmp_path / "in/1.parquet")
    shards = shards_of(tmp_path, 1)
    selection = RowSelection("remove", "image_id")
    given = task(tmp_path, source)
    with pytest.raises(FileRefusedError, match="other IDs"):
        pack_file(given, bitmap(0, checksum=zlib.crc32(b"x")), {}, selection, shards)
    pack_file(given, bitmap(0, checksum=zlib.crc32(b"a")), {}, selection, shards)
    with pytest.raises(FileRefusedError, match="was changed"):
        pack_file(task(tmp_path, source, size_bytes=1), bitmap(0), {}, selection, shards)
