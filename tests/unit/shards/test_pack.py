"""Rows of one Parquet file as samples: members, suffixes, keys, and the bytes of the shards."""

import hashlib
import io
import itertools
import json
import shutil
import tarfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.packing import pack, pack_tasks
from dedup_lib.executor.shards.packing.pack import PackedShard, check_packed
from dedup_lib.executor.shards.packing.pack_tasks import ShardsOfFile, pack_file
from dedup_lib.executor.shards.packing.picture_formats import find_format
from dedup_lib.executor.shards.packing.sample_columns import is_key
from dedup_lib.executor.stores import FileRefusedError
from tests.support.paths import ROOT
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import image_bytes, image_rows, names_in, write_parquet
from tests.support.tables.made_shards import END, SOURCE, read_by_tarfile, shard_of, tar_of

JPG, PNG = image_bytes(0), b"\x89PNG\r\n\x1a\n..."


def shards_of(folder, num_shards, each=10, partition=()):
    """The shards of file 3 in `out`."""
    return ShardsOfFile(3, f"file:{folder}/out", range(num_shards), 1, each, dict(partition))


def packed(folder, table, *gone, each=1000, action="remove", id_column="image_id", **changed):
    """Write a table as shards; return the members of each shard, as Python's tarfile reads them."""
    source = write_parquet(table, folder / "in/1.parquet", row_group_size=2)
    left = len(gone) if action == "extract" else table.num_rows - len(gone)
    (folder / "out").mkdir()
    num_shards = -(-left // each)
    shards = shards_of(folder, num_shards, each, changed.pop("partition", {}))
    given = task(folder, source, **changed)
    done = pack_file(given, bitmap(*gone), {}, RowSelection(action, id_column), shards)
    contents = [(folder / f"out/{n}.tar").read_bytes() for n in range(num_shards)]
    assert done.written_bytes == sum(map(len, contents))
    assert done.num_rows == left == sum(len(shard_of(one).samples) for one in contents)
    return [read_by_tarfile(content) for content in contents]


def names(folder, table, **settings):
    return [name for shard in packed(folder, table, **settings) for name, _ in shard]


def refusal(folder, table, **settings):
    with pytest.raises(FileRefusedError) as caught:
        packed(folder, table, **settings)
    if "partial_directory" not in settings:
        assert names_in(folder / "out") == []
    return str(caught.value)


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


# Suffixes


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
    assert names(tmp_path, table) == ["a.jpg", "a.json", "b.png", "b.json", "c.bin", "c.json"]


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
    assert names(tmp_path, table) == ["a.image.jpg", "a.mask.png", "a.depth.png", "a.raw", "a.json"]


def test_vectors_that_begin_like_a_picture_are_none(tmp_path):
    table = pa.table({"image_id": ["a"], "image": [JPG], "vector": [b"\xff\x0a..."]})
    assert names(tmp_path, table) == ["a.image.jpg", "a.vector", "a.json"]


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


# Keys


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
    assert names(tmp_path, table) == [f"{k}.{s}" for k in keys for s in ("jpg", "json")]


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
    assert names(tmp_path, table) == [f"{key}.jpg", f"{key}.json"]
    members = shard_of((tmp_path / "out/0.tar").read_bytes()).layout.members
    assert members[0].plain_name == f"{key}.jpg"
    assert members[0].data_start == (512 if is_plain else 1536)


# The check of what was written


def test_the_shards_are_read_again(tmp_path, monkeypatch):
    """A writer that loses a member would be found, and nothing gets a name."""
    header = pack._header_of
    parts = itertools.count()
    monkeypatch.setattr(
        pack, "_header_of", lambda name, size: header(f"{next(parts)}-{name}", size)
    )
    assert "other members than were written" in refusal(tmp_path, image_rows(["a"]))
    assert names_in(tmp_path / "partial") == []


@pytest.mark.parametrize(
    ("content", "is_right"),
    [
        (tar_of("1.jpg", "1.txt"), True),
        (tar_of("1.jpg"), False),
        (tar_of("1.jpg", "1.txt", "2.txt"), False),
        (tar_of("1.txt", "1.jpg"), False),
    ],
)
def test_a_shard_must_have_the_members_that_were_written(content, is_right):
    expected = PackedShard(1, 0, [("1.jpg", 5), ("1.txt", 5)])
    if is_right:
        check_packed(io.BytesIO(content), len(content), SOURCE, expected)
        content = content.rstrip(b"\0").ljust(2048, b"\0")
    with pytest.raises(FileRefusedError, match="other members"):
        check_packed(io.BytesIO(content), len(content), SOURCE, expected)


def test_an_output_without_rows_is_one_empty_shard(tmp_path):
    source = write_parquet(image_rows(["a"]), tmp_path / "in/1.parquet")
    (tmp_path / "out").mkdir()
    shards = shards_of(tmp_path, 1)
    selection = RowSelection("remove", "image_id")
    assert pack_file(task(tmp_path, source), bitmap(0), {}, selection, shards).num_rows == 0
    content = (tmp_path / "out/0.tar").read_bytes()
    assert content == bytes(tarfile.RECORDSIZE)
    assert content.startswith(END)


def test_a_file_of_which_nothing_is_written_is_not_read(tmp_path, monkeypatch):
    source = write_parquet(image_rows(["a"]), tmp_path / "in/1.parquet")
    monkeypatch.setattr(pack_tasks, "opened", None)
    selection, shards = RowSelection("extract", "image_id"), shards_of(tmp_path, 0)
    assert pack_file(task(tmp_path, source), None, {}, selection, shards).num_rows == 0
    assert pq.read_metadata(source).num_rows == 1
