"""The metadata files beside shards: IDs from them."""

import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.shards.metadata_files import metadata_path, read_metadata_ids
from dedup_lib.executor.stores import FileRefusedError


@pytest.fixture
def shard(tmp_path):
    return f"file:{tmp_path}/00000.tar"


@pytest.fixture
def write(tmp_path):
    """Write the metadata file: write(column=values, …)."""

    def write(**columns):
        path = tmp_path / "00000.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


def test_the_metadata_file_has_the_name_of_the_shard():
    assert metadata_path("s3a://b/x.y/v1.5-000.tar") == "s3a://b/x.y/v1.5-000.parquet"
    assert metadata_path("file:/x.tar/1.TAR") == "file:/x.tar/1.parquet"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["a", None], ["a", None]),
        ([" é", "007"], [" é", "007"]),
        (pa.array([7, None], pa.int8()), ["7", None]),
        (pa.array([2**64 - 1, 0], pa.uint64()), [str(2**64 - 1), "0"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_ids_are_text_as_they_are_or_integers_as_they_are_written(shard, write, values, found):
    write(key=["1", "2"], uid=values, other=[1.0, 2.0])
    assert list(read_metadata_ids(shard, "uid", {}).items()) == list(zip("12", found, strict=True))


def test_the_key_itself_can_be_the_id(shard, write):
    write(key=["1", "2"])
    assert read_metadata_ids(shard, "key", {}) == {"1": "1", "2": "2"}


def test_rows_without_a_key_and_equal_rows_are_no_matter(shard, write):
    write(key=["1", None, None, "1"], uid=["a", "b", "c", "a"])
    assert read_metadata_ids(shard, "uid", {}) == {"1": "a"}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"key": ["1"]}, r"has no column 'uid' \(columns: key\)"),
        ({"uid": ["1"]}, "has no column 'key'"),
        ({"key": [1], "uid": ["a"]}, "column 'key' of type int64, which must be text$"),
        ({"key": ["1"], "uid": [1.0]}, "'uid' of type double, which must be text or integers"),
        ({"key": ["1"], "uid": [True]}, "'uid' of type bool"),
        ({"key": ["1"], "uid": [b"a"]}, "'uid' of type binary"),
        ({"key": ["1"], "uid": [decimal.Decimal(1)]}, "'uid' of type decimal"),
        ({"key": ["1"], "uid": [["a"]]}, "'uid' of type list"),
        ({"key": ["1", "1"], "uid": ["a", "b"]}, "two rows with the key '1' and other IDs"),
        ({"key": ["1", "1"], "uid": [None, "b"]}, "two rows with the key '1'"),
    ],
)
def test_a_metadata_file_that_does_not_tell_the_ids_is_refused(shard, write, columns, words):
    write(**columns)
    with pytest.raises(
        FileRefusedError, match=rf"metadata file .*/00000\.parquet' .*{words}"
    ) as at:
        read_metadata_ids(shard, "uid", {})
    assert at.value.kind == "shard"


def test_a_column_that_is_there_twice_is_refused(shard, tmp_path):
    twice = pa.Table.from_arrays([pa.array(["1"])] * 3, ["key", "uid", "uid"])
    pq.write_table(twice, tmp_path / "00000.parquet")
    with pytest.raises(FileRefusedError, match="has no column 'uid'"):
        read_metadata_ids(shard, "uid", {})


def test_a_missing_or_broken_metadata_file_is_refused(shard, write):
    with pytest.raises(FileRefusedError, match=r"00000\.parquet' does not exist"):
        read_metadata_ids(shard, "uid", {})
    path = write(key=["1"], uid=["a"])
    for content in (b"", path.read_bytes()[:-30], b"PAR1" * 20):
        path.write_bytes(content)
        with pytest.raises(FileRefusedError, match="can't be read"):
            read_metadata_ids(shard, "uid", {})
