"""The metadata files beside shards: IDs from them, and what is written of them."""

import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor import rewrite_file
from dedup_lib.executor.kept_rows import Bitmap
from dedup_lib.executor.shards import metadata_files
from dedup_lib.executor.shards.metadata_files import (
    metadata_path,
    read_metadata_ids,
    rewrite_metadata,
)
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import task


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


@pytest.fixture
def written(tmp_path):
    """Write the metadata file anew: written(action, planned keys) -> the new table, or why not."""
    (tmp_path / "00000.tar").touch()
    (tmp_path / "partial").mkdir()
    given = task(tmp_path, tmp_path / "00000.tar", num_rows=1)

    def written(action, *planned):
        samples = dict.fromkeys("123", False) | dict.fromkeys(planned, True)
        left_out = rewrite_metadata(given, samples, {}, action)
        assert not list((tmp_path / "partial").iterdir())
        path = tmp_path / "out/00000.parquet"
        return pq.read_table(path) if path.exists() else left_out

    return written


@pytest.mark.parametrize(
    ("action", "keys"),
    [("remove", ["3", "failed", None, "1"]), ("extract", ["2", "2"]), ("annotate", None)],
)
def test_rows_go_with_the_samples_of_their_keys(write, written, action, keys):
    before = pq.read_table(
        write(key=["3", "2", "failed", "2", None, "1"], width=[*range(5), None], exif=["é"] * 6)
    )
    after = written(action, "2", "no row", "\udcff")
    expected = (
        before
        if keys is None
        else before.filter([key in keys for key in before["key"].to_pylist()])
    )
    assert after.equals(expected)
    assert after.schema.equals(before.schema, check_metadata=True)


@pytest.mark.parametrize("planned", [(), ("no row",)])
def test_a_metadata_file_that_loses_nothing_is_copied(write, written, tmp_path, planned):
    path = write(key=["1", "failed"])
    written("remove", *planned)
    assert (tmp_path / "out/00000.parquet").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("keys", [["./1", "./2"], []])
def test_metadata_whose_keys_are_spelled_otherwise_are_left_out(write, written, keys):
    """No row would go: the file would still tell of the samples that did."""
    write(key=pa.array(keys, pa.string()))
    assert "has no row for '1', nor for any other sample" in written("remove", "2")


def test_a_directory_is_no_metadata_file(written, tmp_path):
    """Spark's tables are directories with such names."""
    (tmp_path / "00000.parquet").mkdir()
    assert written("remove", "2") is None


@pytest.mark.parametrize("action", ["remove", "extract"])
def test_a_metadata_file_without_rows_to_write_keeps_its_columns(write, written, action):
    write(key=["1", "2"], uid=["a", "b"])
    table = written(action, *(["1", "2"] if action == "remove" else []))
    assert (table.num_rows, table.column_names) == (0, ["key", "uid"])


def test_more_rows_than_a_bitmap_of_the_plan_has(write, written):
    keys = [str(number) for number in range(70_001)]
    write(key=keys)
    assert written("remove", "0", "32768", "70000")["key"].to_pylist() == [
        key for key in keys if key not in {"0", "32768", "70000"}
    ]


def test_what_is_no_metadata_file_is_left_out(shard, write, written, tmp_path):
    assert written("remove") is None  # there is none
    write(image_id=["1"], tar_file=["/old/00000.tar"])  # NeMo Curator's
    assert "has no column 'key'" in written("remove")
    write(key=[1])
    assert "must be text" in written("remove", "1")
    (tmp_path / "00000.parquet").write_bytes(b"")
    assert "can't be read" in written("remove", "1")


def test_a_column_that_pyarrow_would_change_leaves_it_out(write, written, monkeypatch):
    def refused(*_):
        raise FileRefusedError("types", "pyarrow would write another type")

    write(key=["1"])
    monkeypatch.setattr(rewrite_file, "writer_options", refused)
    assert written("remove", "1") == "pyarrow would write another type"


def test_other_keys_than_were_chosen_are_refused(write, written, monkeypatch):
    write(key=["1", "2"])
    monkeypatch.setattr(metadata_files, "_bitmaps", lambda _: [Bitmap(0, b"\x02")])
    with pytest.raises(FileRefusedError, match="has other keys than were written") as caught:
        written("remove", "1")
    assert caught.value.kind == "ids"
