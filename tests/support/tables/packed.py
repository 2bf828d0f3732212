"""Rows of one Parquet file, written as shards by the task of an executor."""

import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.packing.pack_tasks import ShardsOfFile, pack_file
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import image_bytes, names_in, write_parquet
from tests.support.tables.made_shards import read_by_tarfile, shard_of

JPG, PNG = image_bytes(0), b"\x89PNG\r\n\x1a\n..."


def shards_of(folder, num_shards, each=10, partition=()):
    """The shards of file 3 in `out`."""
    return ShardsOfFile(3, f"file:{folder}/out", range(num_shards), 1, each, dict(partition))


def packed(folder, table, *gone, each=1000, action="remove", id_column="image_id", **changed):
    """Write a table as shards; return the members of each shard, as Python's tarfile reads them."""
    source = write_parquet(table, folder / "in/1.parquet", row_group_size=2)
    by_action = {"extract": len(gone), "annotate": table.num_rows}
    left = by_action.get(action, table.num_rows - len(gone))
    (folder / "out").mkdir()
    num_shards = -(-left // each)
    shards = shards_of(folder, num_shards, each, changed.pop("partition", {}))
    keepers = changed.pop("keepers", ())
    planned = [part._replace(keepers=keepers) for part in bitmap(*gone)]
    given = task(folder, source, **changed)
    done = pack_file(given, planned, {}, RowSelection(action, id_column), shards)
    contents = [(folder / f"out/{n}.tar").read_bytes() for n in range(num_shards)]
    assert done.written_bytes == sum(map(len, contents))
    assert done.num_rows == left == sum(len(shard_of(one).samples) for one in contents)
    return [read_by_tarfile(content) for content in contents]


def names_of(folder, table, **settings):
    return [name for shard in packed(folder, table, **settings) for name, _ in shard]


def refusal(folder, table, **settings):
    with pytest.raises(FileRefusedError) as caught:
        packed(folder, table, **settings)
    if "partial_directory" not in settings:
        assert names_in(folder / "out") == []
    return str(caught.value)
