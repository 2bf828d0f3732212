"""Samples as rows of a Parquet file: a column for each suffix, checked against the headers."""

import io
import random
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from dedup_lib.executor.kept_rows import FileReadError
from dedup_lib.executor.shards import table_columns, unpack
from dedup_lib.executor.shards.table_columns import MOST_SUFFIXES, find_columns
from dedup_lib.executor.shards.unpack import Columns, Rows, check_rows, write_rows
from dedup_lib.executor.stores import FileRefusedError, StoreFile
from tests.support.tables.made_shards import SOURCE, link, member, shard_of, tar_of
from tests.support.tables.pages import pages_of

LATIN1 = b"\xff".decode("utf-8", "surrogateescape")


@pytest.fixture
def target(tmp_path):
    return StoreFile(fs.LocalFileSystem(), str(tmp_path / "0.parquet"))


def write(content, target, *suffixes, ids=None):
    """Write all samples of a shard; return the rows."""
    samples = shard_of(content).samples
    rows = Rows(io.BytesIO(content), SOURCE, samples, ids or [None] * len(samples))
    write_rows(rows, Columns(suffixes, has_ids=ids is not None), target)
    return rows


def test_suffixes_are_those_of_samples_in_lower_case():
    content = tar_of(
        "a/1.JPG", "a/1.seg.png", "2.json", member("dir/", type=tarfile.DIRTYPE, size=0)
    )
    assert find_columns(shard_of(content)) == (["jpg", "json", "seg.png"], None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("1.JPG", "'1', which has two members with one suffix"),
        ("__x.jpg", "'__x.jpg', which belongs to no sample"),
        (member("pipe.x", type=tarfile.FIFOTYPE, size=0), "'pipe.x', which belongs to no sample"),
        (link("2.jpg", "1.jpg"), "'2.jpg', which is a link"),
        (member("2.jpg", type=b"S"), "'2.jpg', which is sparse"),
        (f"{LATIN1}.jpg", r"'\udcff', whose key is no UTF-8"),
        (f"2.{LATIN1}", "suffix can't be a column's name"),
        ("2.", "suffix can't be a column's name"),
        ("2.a b", "suffix can't be a column's name"),
        ("2.__key__", "suffix can't be a column's name"),
        ("2." + "x" * 101, "suffix can't be a column's name"),
    ],
)
def test_what_a_table_can_not_hold_is_found(given, words):
    form = "pax" if isinstance(given, str) and LATIN1 not in given else "gnu"
    found = find_columns(shard_of(tar_of("1.jpg", given, form=form)))
    assert found.refused is not None
    assert found.refused.startswith(f"shard {SOURCE!r} has the ")
    assert words in found.refused


def test_one_suffix_more_than_there_may_be_is_told():
    names = [f"v1.{number}.jpg" for number in range(MOST_SUFFIXES + 20)]
    assert len(find_columns(shard_of(tar_of(*names))).suffixes) == MOST_SUFFIXES + 1


def test_a_member_larger_than_a_value_can_be_is_found(monkeypatch):
    monkeypatch.setattr(table_columns, "_MOST_VALUE_BYTES", 100)
    assert find_columns(shard_of(tar_of(member("1.jpg", bytes(100))))).refused is None
    found = find_columns(shard_of(tar_of(member("1.jpg", bytes(101)))))
    assert "which has 101 bytes (at most 100)" in str(found.refused)


def test_pages_are_small(target):
    """By default pyarrow would put 1,024 values in a page, whatever their size."""
    noise = random.Random(0)
    members = [member(f"{key}.jpg", noise.randbytes(10_000)) for key in range(300)]
    write(tar_of(*members), target, "jpg")
    sizes = [len(page) for page in pages_of(Path(target.path)) if len(page) > 100_000]
    assert len(sizes) == 3
    assert max(sizes) < 1.5 * 1024**2


def test_a_file_has_small_row_groups(target, monkeypatch):
    monkeypatch.setattr(unpack, "_ROW_GROUP_BYTES", 10_000)
    sizes = [4_000, 6_000, 1, 20_000, 5]
    members = [member(f"{key}.jpg", bytes([key]) * size) for key, size in enumerate(sizes)]
    written = write(tar_of(*members), target, "jpg", "txt")
    file = pq.ParquetFile(target.path)
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [2, 1, 1, 1]
    rows = file.read().to_pylist()
    assert [(row["jpg"], row["txt"]) for row in rows] == [(data, None) for _, data in members]
    assert {row["__url__"] for row in rows} == {SOURCE}
    check_rows(written, Columns(("jpg", "txt"), has_ids=False), target)


def test_only_what_a_codec_makes_smaller_is_compressed(target):
    noise = random.Random(0).randbytes(1000)
    write(tar_of(member("1.jpg", noise), member("1.txt", b"word " * 200)), target, "jpg", "txt")
    group = pq.read_metadata(target.path).row_group(0)
    columns = {group.column(index).path_in_schema: group.column(index) for index in range(4)}
    found = columns["jpg"].compression, columns["txt"].compression
    assert found == ("UNCOMPRESSED", "SNAPPY")
    assert not columns["jpg"].is_stats_set
    assert not columns["jpg"].has_dictionary_page


def test_a_member_without_a_column_shows_that_the_shard_was_changed(target):
    with pytest.raises(FileRefusedError, match="was changed"):
        write(tar_of("1.jpg", "1.txt"), target, "jpg")


@pytest.mark.parametrize(
    "changed",
    [
        {"__key__": ["1", "2"], "jpg": [b"1.jpg", b"2.jp"]},
        {"__key__": ["1", "2"], "jpg": [b"1.jpg", None]},
        {"__key__": ["1", "3"], "jpg": [b"1.jpg", b"3.jpg"]},
        {"__key__": ["1"], "jpg": [b"1.jpg"]},
    ],
)
def test_other_values_than_those_of_the_members_are_found(target, changed):
    written = write(tar_of("1.jpg", "2.jpg"), target, "jpg")
    check_rows(written, Columns(("jpg",), has_ids=False), target)
    pq.write_table(pa.table(changed), target.path)
    with pytest.raises(FileRefusedError, match="other values than were written"):
        check_rows(written, Columns(("jpg",), has_ids=False), target)


def test_a_flipped_byte_of_a_value_is_found(target):
    """By the checksum of its page: the length is the same."""
    written = write(tar_of(member("1.jpg", b"picture")), target, "jpg")
    path = Path(target.path)
    content = bytearray(path.read_bytes())
    content[content.index(b"picture")] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileReadError, match=r"0\.parquet.*CRC"):
        check_rows(written, Columns(("jpg",), has_ids=False), target)
