"""Small shards, in two of the forms that writers use."""

import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tables.made import write_list
from tests.support.tables.made_shards import member, tar_of


def sample(key, uid=None, *, mtime=1):
    """An image, its JSON and its caption, as img2dataset writes them."""
    facts = {"uid": uid or f"uid-{key}"}
    members = {"jpg": b"\xff\xd8" + key.encode() * 300, "json": json.dumps(facts).encode()}
    members["txt"] = f"caption of {key}".encode()
    return [member(f"{key}.{suffix}", data, mtime=mtime) for suffix, data in members.items()]


def write_shard(path, *keys, form="pax", mtime=1.5):
    """Write a shard; a mtime with a fraction gives each member a PAX header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = [one for key in keys for one in sample(key, mtime=mtime)]
    path.write_bytes(tar_of(*members, form=form))
    return path


def members_of(path):
    """The names and data of all members, in order, as Python's tarfile reads them."""
    with tarfile.open(path) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar.getmembers()]


def keys_in(directory):
    members = (name for shard in directory.glob("*.tar") for name, _ in members_of(shard))
    return sorted({name.partition(".")[0] for name in members})


@pytest.fixture
def shards(tmp_path):
    """Two shards of three samples, one with PAX headers, one of GNU's tar."""
    write_shard(tmp_path / "shards/00000.tar", "a0", "a1", "a2")
    return write_shard(tmp_path / "shards/00001.tar", "b0", "b1", "b2", form="gnu", mtime=1).parent


@pytest.fixture
def listed(tmp_path):
    """A removal list that names a1, and one that no sample has."""
    return write_list(tmp_path / "list/1.parquet", ["a1", "x"]).parent


@pytest.fixture
def remove_from(remove):
    """Run the job on shards: remove_from(shards, lists, output, **settings)."""
    return lambda *given, **settings: remove(*given, **({"output_format": "webdataset"} | settings))


def write_metadata(shard, *keys, **columns):
    """The Parquet that img2dataset writes beside a shard; images that failed also have a row."""
    rows = {
        "url": [f"https://example.org/{key}" for key in keys],
        "key": keys,
        "status": ["failed_to_download" if key.startswith("failed") else "success" for key in keys],
        "uid": [f"uid-{key}" for key in keys],
    }
    path = shard.with_suffix(".parquet")
    pq.write_table(pa.table(rows | columns), path, row_group_size=2)
    return path
