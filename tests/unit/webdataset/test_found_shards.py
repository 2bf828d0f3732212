"""What lies in a directory of shards, by names alone."""

import pytest

from dedup_lib.errors import TableFormatError
from dedup_lib.session.storage import FileInfo
from dedup_lib.webdataset.shards import find_shards


class Listing:
    """A store that lists these names below `file:/s`."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def list_files(self, location: str) -> list[FileInfo]:
        return [FileInfo(f"{location}/{name}", 1024, 0) for name in self._names]


def test_the_parquet_file_of_a_shard_is_its_metadata():
    found = find_shards(Listing("b.tar.gz", "a.tar", "b.parquet", "c.parquet"), "file:/s")
    assert [file.path for file in found.shards] == ["file:/s/a.tar", "file:/s/b.tar.gz"]
    assert [file.path for file in found.metadata] == ["file:/s/b.parquet"]
    assert [file.path for file in found.others] == ["file:/s/c.parquet"]


def test_metadata_of_two_shards_are_refused():
    with pytest.raises(TableFormatError, match="several shards of its name"):
        find_shards(Listing("a.tar", "a.tar.gz", "a.parquet"), "file:/s")
    assert len(find_shards(Listing("a.tar", "a.tar.gz"), "file:/s").shards) == 2
