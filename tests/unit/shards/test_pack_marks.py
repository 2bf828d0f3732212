"""Rows as samples with marks: all rows stay, and a member in each says whether it goes."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.kept_rows import Keeper
from dedup_lib.executor.shards.packing.pack_tasks import probe
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.made import image_rows, write_parquet
from tests.support.tables.packed import JPG, packed, refusal


def marks_of(shards):
    """The marks by key: whether it is a duplicate, and the ID that is kept."""
    return {
        name.partition(".")[0]: tuple(json.loads(data).values())
        for shard in shards
        for name, data in shard
        if name.endswith(".dedup.json")
    }


def test_all_rows_stay_and_are_marked(tmp_path):
    table, keepers = image_rows(list("abcd")), [Keeper(2, b"a")]
    shards = packed(tmp_path, table, 1, 2, each=3, action="annotate", keepers=keepers)
    found = {"a": (False, ""), "b": (True, ""), "c": (True, "a"), "d": (False, "")}
    assert marks_of(shards) == found
    assert [name for name, _ in shards[0]][:4] == ["a.jpg", "a.json", "a.dedup.json", "b.jpg"]
    (tmp_path / "2").mkdir()
    plain = [one for shard in packed(tmp_path / "2", table, each=3) for one in shard]
    assert [one for shard in shards for one in shard if "dedup" not in one[0]] == plain


@pytest.mark.parametrize("partial", [None, "partial"])
def test_a_file_without_duplicates_is_marked_too(tmp_path, partial):
    uri = partial and f"file:{tmp_path}/partial"
    shards = packed(tmp_path, image_rows(["a"]), action="annotate", partial_directory=uri)
    assert marks_of(shards) == {"a": (False, "")}


@pytest.mark.parametrize(
    ("ids", "keeper", "text"),
    [
        (pa.array([7, 2**40]), 2**40, str(2**40)),
        (pa.array(["5", "6"]).cast(pa.decimal128(20, 0)), Decimal(6), "6"),
        (pa.array([b"\x01\xff", b"b"]), bytearray(b"\x01\xff"), "01ff"),
        (pa.array([b"\1" * 16] * 2, pa.uuid()), b"\2" * 16, "02020202-0202-0202-0202-020202020202"),
        (pa.array(["a", "b"]).dictionary_encode(), b"\xc3\xa9", "é"),
    ],
    ids=str,
)
def test_the_id_that_is_kept_is_text(tmp_path, ids, keeper, text):
    """Readers take the types from the first samples, so it has one type in all tables."""
    table = pa.table({"image_id": ids, "image": [JPG, JPG]})
    shards = packed(tmp_path, table, 0, action="annotate", keepers=[Keeper(0, keeper)])
    assert list(marks_of(shards).values()) == [(True, text), (False, "")]


def test_a_key_by_position_has_its_mark(tmp_path):
    table = pa.table({"image_id": ["x.y"], "image": [JPG]})
    shards = packed(tmp_path, table, 0, action="annotate")
    assert marks_of(shards) == {"row-00003-000000000": (True, "")}


def test_a_table_that_was_made_of_marked_shards_is_refused(tmp_path):
    table = pa.table({"__key__": ["a"], "jpg": [JPG], "Dedup.json": [b"{}"]})
    words = "two members would have the suffix 'dedup.json'"
    assert words in refusal(tmp_path, table, action="annotate", id_column="__key__")
    source = write_parquet(table, tmp_path / "in/1.parquet")
    with pytest.raises(FileRefusedError, match=words):
        probe(f"file:{source}", RowSelection("annotate", "__key__"), {})
    probe(f"file:{source}", RowSelection("remove", "__key__"), {})
