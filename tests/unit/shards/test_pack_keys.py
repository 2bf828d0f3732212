"""Rows as samples: their keys, and the headers of their names."""

import json

import pyarrow as pa
import pytest

from dedup_lib.executor.shards.packing.sample_columns import is_key
from tests.support.tables.made_shards import shard_of
from tests.support.tables.packed import JPG, names_of, packed, refusal


@pytest.mark.parametrize("text", ["a", "a/b", "v1.5/a", "a b", "ä", "./a", "a/./b", "-", "%"])
def test_a_text_can_be_a_key(text):
    assert is_key(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "d/a.jpg", ".a", "/a", "a/", "a//b", "../a", "a/../b", "https://x/a"],
)
@pytest.mark.parametrize("before", ["", "d/"])
def test_a_text_can_be_no_key(before, text):
    assert not is_key(before + text)


@pytest.mark.parametrize("text", ["__a", "d/__a", "__d__/a", "a\nb", "a\0b", "a\x7f"])
def test_a_text_that_some_readers_skip_can_be_no_key(text):
    assert not is_key(text)


@pytest.mark.parametrize(
    ("ids", "keys"),
    [
        (pa.array([7, -1], pa.int64()), ["7", "-1"]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array(["5", "6"]).cast(pa.decimal128(20, 0)), ["5", "6"]),
        (pa.array([b"\x01\xff"]), ["01ff"]),
        (pa.array([b"\x01" * 16], pa.uuid()), ["01010101-0101-0101-0101-010101010101"]),
        (pa.array(["a"]).dictionary_encode(), ["a"]),
        (pa.array(["d/a.jpg", None, "b"]), ["row-00003-000000000", "row-00003-000000001", "b"]),
        (pa.array(["b", "b"]), ["b", "row-00003-000000001"]),
    ],
    ids=str,
)
def test_the_key_is_the_id_or_the_position(tmp_path, ids, keys):
    table = pa.table({"image_id": ids, "image": [JPG] * len(ids)})
    assert names_of(tmp_path, table) == [f"{k}.{s}" for k in keys for s in ("jpg", "json")]


def test_the_position_counts_the_rows_that_go(tmp_path):
    table = pa.table({"image_id": [*"abcd", "e.f"], "image": [JPG] * 5})
    shards = packed(tmp_path, table, 0, 2)
    assert shards[0][-2][0] == "row-00003-000000004.jpg"


def test_one_id_in_two_shards_is_the_key_in_both(tmp_path):
    table = pa.table({"image_id": ["b", "b"], "image": [JPG] * 2})
    shards = packed(tmp_path, table, each=1)
    assert [shard[0][0] for shard in shards] == ["b.jpg", "b.jpg"]


def test_an_id_that_looks_like_a_position_is_no_key(tmp_path):
    """Row 1 would get the same key."""
    ids = ["row-00003-000000001", None]
    (shard,) = packed(tmp_path, pa.table({"image_id": ids, "image": [JPG] * 2}))
    assert [name for name, _ in shard][::2] == [
        "row-00003-000000000.jpg",
        "row-00003-000000001.jpg",
    ]
    assert json.loads(shard[1][1]) == {"image_id": ids[0]}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["1", "a.b"], r"row 1 (ID 'y'): its __key__ 'a.b' can't be"),
        (["1", None], "its __key__ None can't be"),
        (["1", "1"], "row 1 (ID 'y'): another row of the same shard has the key '1'"),
    ],
)
def test_a_column_of_keys_is_taken_as_it_is_or_refused(tmp_path, keys, words):
    table = pa.table({"__key__": keys, "image_id": ["x", "y"], "jpg": [JPG] * 2})
    assert words in refusal(tmp_path, table)


@pytest.mark.parametrize(
    ("key", "is_plain"),
    [
        ("d" * 90 + "/" + "k" * 90, True),
        ("ä" * 40, True),
        ("ä" * 60, False),
        ("k" * 120, False),
        ("d" * 160 + "/k", False),
    ],
)
def test_headers_are_plain_where_the_name_fits(tmp_path, key, is_plain):
    """NVIDIA DALI, and so NeMo Curator, reads GNU's long names, but not those of PAX."""
    table = pa.table({"image_id": [key], "image": [JPG]})
    assert names_of(tmp_path, table) == [f"{key}.jpg", f"{key}.json"]
    members = shard_of((tmp_path / "out/0.tar").read_bytes()).layout.members
    assert members[0].plain_name == f"{key}.jpg"
    assert members[0].data_start == (512 if is_plain else 1536)
