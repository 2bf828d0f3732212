"""Rows as samples: which column becomes which member."""

import io
import json
import shutil

import pyarrow as pa
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.packing.pack_tasks import pack_file
from dedup_lib.executor.shards.packing.picture_formats import find_format
from tests.support.paths import ROOT
from tests.support.tables.arrow_tasks import task
from tests.support.tables.made_shards import read_by_tarfile
from tests.support.tables.packed import JPG, PNG, names_of, packed, refusal, shards_of


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (JPG, "jpg"),
        (PNG, "png"),
        (b"GIF89a..", "gif"),
        (b"RIFF\n\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\n\0\0\0WAVEfmt ", None),
        (b"BM\x01\0\0\0\0\0\0\0", "bmp"),
        (b"II*\0", "tiff"),
        (b"MM\0+", "tiff"),
        (b"\0\0\0 ftypavif", "avif"),
        (b"\0\0\0 ftypheic", "heic"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
        (b"\xff\x0a", "jxl"),
        (b"", None),
        (b"words", None),
    ],
)
def test_a_picture_tells_its_format(data, suffix):
    assert find_format(data) == suffix


def test_pillow_knows_the_pictures_by_the_same_formats():
    image = pytest.importorskip("PIL.Image", reason="Pillow isn't installed")
    for suffix, name in {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP"}.items():
        made = io.BytesIO()
        image.new("RGB", (1, 1)).save(made, name)
        assert find_format(made.getvalue()) == suffix


def test_one_column_of_bytes_has_the_suffix_of_its_format(tmp_path):
    table = pa.table({"image_id": ["a", "b", "c"], "content": [JPG, PNG, b"?"]})
    assert names_of(tmp_path, table) == ["a.jpg", "a.json", "b.png", "b.json", "c.bin", "c.json"]


def test_a_struct_of_bytes_and_path_is_a_picture(tmp_path):
    """As Hugging Face keeps it; a long file is read in several batches."""
    rows = [{"bytes": JPG, "path": f"x/{n}.jpeg"} for n in range(600)]
    table = pa.table(
        {"image_id": map(str, range(602)), "image": [*rows, None, rows[0] | {"bytes": None}]}
    )
    (shard,) = packed(tmp_path, table)
    found = dict(shard)
    assert found["599.jpg"] == JPG
    assert json.loads(found["599.json"]) == {"image_id": "599", "image": {"path": "x/599.jpeg"}}
    assert json.loads(found["600.json"]) == {"image_id": "600", "image": None}
    assert json.loads(found["601.json"]) == {"image_id": "601", "image": {"path": "x/0.jpeg"}}
    assert not {"600.jpg", "601.jpg"} & found.keys()


def test_several_columns_of_bytes_have_their_names_and_formats(tmp_path):
    table = pa.table(
        {"image_id": ["a"], "image": [JPG], "mask": [PNG], "depth.png": [JPG], "raw": [b"?"]}
    )
    assert names_of(tmp_path, table) == [
        "a.image.jpg",
        "a.mask.png",
        "a.depth.png",
        "a.raw",
        "a.json",
    ]


def test_vectors_that_begin_like_a_picture_are_none(tmp_path):
    table = pa.table({"image_id": ["a"], "image": [JPG], "vector": [b"\xff\x0a..."]})
    assert names_of(tmp_path, table) == ["a.image.jpg", "a.vector", "a.json"]


def test_two_fields_of_one_name_are_refused(tmp_path):
    """JSON would keep only the last one."""
    kind = pa.struct([("a", pa.int64()), ("a", pa.int64())])
    values = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], fields=list(kind))
    for facts in (values, pa.array([[]], pa.list_(kind))):
        table = pa.table({"image_id": ["a"], "image": [JPG], "facts": facts})
        assert "two columns or fields have the name 'a'" in refusal(tmp_path, table)
        shutil.rmtree(tmp_path / "out")
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([JPG]), pa.array([JPG])], list("ixx"))
    assert "the name 'x'" in refusal(tmp_path, table, id_column="i")


def test_enums_are_text_as_for_spark(tmp_path):
    shutil.copy(ROOT / "tests/tables/enum.parquet", tmp_path / "1.parquet")
    (tmp_path / "out").mkdir()
    given = task(tmp_path, tmp_path / "1.parquet")
    pack_file(given, None, {}, RowSelection("remove", "image_id"), shards_of(tmp_path, 1))
    members = dict(read_by_tarfile((tmp_path / "out/0.tar").read_bytes()))
    kinds = [json.loads(data)["kind"] for name, data in members.items() if name.endswith(".json")]
    assert set(kinds) <= {"cat", "dog", None}
    assert len(kinds) == given.num_rows


def test_a_text_column_txt_is_a_caption(tmp_path):
    table = pa.table({"image_id": ["a", "b"], "image": [JPG, JPG], "txt": ["ä", None]})
    (shard,) = packed(tmp_path, table)
    assert [name for name, _ in shard] == ["a.jpg", "a.txt", "a.json", "b.jpg", "b.json"]
    assert dict(shard)["a.txt"].decode() == "ä"
    assert json.loads(dict(shard)["a.json"]) == {"image_id": "a"}


def test_a_table_made_from_shards_becomes_the_same_members(tmp_path):
    """Names are suffixes, whatever the bytes; the JSON keeps its bytes."""
    own = b'{"b": 1,"a": 2}'
    table = pa.table(
        {
            "__key__": ["d/1", "./2"],
            "__url__": ["x", "y"],
            "jpg": [PNG, None],
            "seg.png": [JPG, None],
            "json": [own, None],
        }
    )
    (shard,) = packed(tmp_path, table, id_column="__key__")
    members = {"d/1.jpg": PNG, "d/1.seg.png": JPG, "d/1.json": own, "./2.columns.json": b"{}"}
    assert shard == list(members.items())


def test_what_is_added_to_a_table_made_from_shards_is_kept_beside_its_json(tmp_path):
    table = pa.table({"__key__": ["1"], "image_id": ["x"], "jpg": [JPG], "json": [b"{}"]})
    (shard,) = packed(tmp_path, table)
    assert [name for name, _ in shard] == ["1.jpg", "1.json", "1.columns.json"]
    assert json.loads(dict(shard)["1.columns.json"]) == {"image_id": "x"}


def test_values_of_directories_are_in_the_json(tmp_path):
    table = pa.table({"image_id": ["a"], "image": [JPG]})
    (shard,) = packed(tmp_path, table, partition={"split": "train", "lang": None})
    facts = json.loads(dict(shard)["a.json"])
    assert facts == {"image_id": "a", "split": "train", "lang": None}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"width": [1]}, "no column of bytes"),
        ({"images": [[JPG]]}, "column 'images' has bytes within lists"),
        ({"image": [{"bytes": JPG, "path": "", "size": 1}]}, "column 'image' has bytes within"),
        ({"a/b": [JPG], "c": [JPG]}, "'a/b' can't be a suffix"),
        ({"a\n": [JPG], "c": [JPG]}, "can't be a suffix"),
        ({"mask": [PNG], "mask.png": [PNG]}, "one suffix"),
        ({"JSON": [JPG], "c": [JPG]}, "suffix 'json'"),
        ({"json": [JPG], "c": [JPG]}, "suffix 'json'"),
        ({"__url__": [JPG], "c": [JPG]}, "'__url__' can't be a suffix"),
    ],
)
def test_columns_that_can_be_no_members_are_refused(tmp_path, columns, words):
    assert words in refusal(tmp_path, pa.table({"image_id": ["a"], **columns}))


def test_a_text_that_is_no_utf8_is_refused(tmp_path):
    bad = pa.array([b"\xff"]).view(pa.string())
    table = pa.table({"image_id": ["a"], "image": [JPG], "caption": bad})
    assert "texts in column 'caption' that are no UTF-8" in refusal(tmp_path, table)
