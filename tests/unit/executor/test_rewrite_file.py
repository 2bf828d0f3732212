"""One Parquet file, rewritten by pyarrow without some rows: nothing else of it changes."""

import dataclasses
import datetime as dt
import decimal
import json
import random
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor import kept_rows, rewrite_file, writer_options
from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.kept_rows import FileReadError, Keeper
from dedup_lib.executor.stores import FileRefusedError
from tests.support.paths import ROOT
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import image_rows, names_in, tree_digest, write_parquet
from tests.support.tables.old_java import written_by_java
from tests.support.tables.pages import pages_of, same_fraction


def rewritten(folder, table, *gone, source=None, **options):
    """Write a table, take rows out of its file; return the files before and after."""
    source = source or write_parquet(table, folder / "in/1.parquet", **options)
    done = rewrite_file.rewrite(task(folder, source), bitmap(*gone), {})
    assert names_in(folder / "partial") == []
    assert done.num_rows == table.num_rows - len(gone)
    before, after = pq.ParquetFile(source), pq.ParquetFile(folder / "out" / source.name)
    assert done.written_bytes == (folder / "out" / source.name).stat().st_size
    expected = table.take([row for row in range(table.num_rows) if row not in gone])
    assert pq.read_table(folder / "out" / source.name).equals(expected.cast(table.schema))
    return before, after


def schema_of(file: pq.ParquetFile) -> list[str]:
    return str(file.schema).splitlines()[2:]


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        (pa.uint64(), [1, 2**64 - 1]),
        (pa.int8(), [1, -128]),
        (pa.decimal128(20, 0), [decimal.Decimal(1), decimal.Decimal(10**20 - 1)]),
        (pa.binary(), [b"a", b"\xff"]),
        (pa.binary(16), [b"a" * 16, b"\xff" * 16]),
        (pa.uuid(), [b"a" * 16, b"\xff" * 16]),
        (pa.dictionary(pa.int8(), pa.int16()), [1, 2]),
    ],
    ids=str,
)
def test_the_kept_image_is_named_in_the_type_of_the_ids(tmp_path, kind, ids):
    """Whatever Spark hands over: it knows unsigned integers as decimals."""
    rows = pa.table({"image_id": pa.array([*ids, *ids], kind)})
    source = write_parquet(rows, tmp_path / "in/1.parquet")
    keeper = decimal.Decimal(ids[1]) if pa.types.is_uint64(kind) else ids[1]
    (planned,) = bitmap(0)
    bitmaps = [planned._replace(keepers=[Keeper(0, keeper)])]
    selection = RowSelection("annotate", "image_id")
    rewrite_file.rewrite(task(tmp_path, source), bitmaps, {}, selection)
    kept = pq.read_table(tmp_path / "out/1.parquet")["kept_image_id"]
    assert kept.type == (kind.value_type if pa.types.is_dictionary(kind) else kind)
    assert kept.to_pylist() == [rows["image_id"].to_pylist()[1], None, None, None]


INSTANT = dt.datetime(2024, 2, 29, 12, 0, 0, 123457)
TYPES = {
    "nanoseconds": pa.array([1, None, 3], pa.timestamp("ns")),
    "UTC": pa.array([INSTANT, None, INSTANT], pa.timestamp("us", "UTC")),
    "milliseconds": pa.array([1, None, 3], pa.timestamp("ms")),
    "time": pa.array([1, None, 3], pa.time64("ns")),
    "date": pa.array([INSTANT.date(), None, INSTANT.date()]),
    "unsigned": pa.array([0, None, 2**64 - 1], pa.uint64()),
    "uint32": pa.array([0, None, 2**32 - 1], pa.uint32()),
    "int8": pa.array([-128, None, 127], pa.int8()),
    "half": pa.array([1.5, None, -0.0], pa.float16()),
    "float": pa.array([float("inf"), None, -0.0], pa.float32()),
    "fixed": pa.array([b"0123456789abcdef", None, b"f" * 16], pa.binary(16)),
    "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-9.99")]),
    "large_string": pa.array(["a", None, "é"], pa.large_string()),
    "dictionary": pa.array(["a", None, "a"]).dictionary_encode(),
    "list": pa.array([[1], None, [None, 2]], pa.list_(pa.int16())),
    "lists": pa.array([[["x"], None], None, []], pa.list_(pa.list_(pa.string()))),
    "map": pa.array([[("k", 1.5)], None, []], pa.map_(pa.string(), pa.float64())),
    "struct": pa.array([{"x": 1, "y": b"z"}, None, {"x": None, "y": b""}]),
    "null": pa.nulls(3),
}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_stays_as_it_is(tmp_path, name):
    table = pa.table({"image_id": ["a", "b", "c"], "value": TYPES[name]})
    before, after = rewritten(tmp_path, table, 0)
    assert schema_of(after) == schema_of(before)
    assert after.schema_arrow.equals(before.schema_arrow)


def test_times_that_are_said_to_be_utc_stay_so(tmp_path):
    """As pyarrow before 22, parquet-mr and DuckDB's TIMETZ say."""
    source = ROOT / "tests/tables/pyarrow_17_times.parquet"
    before, after = rewritten(tmp_path, pq.read_table(source), 1, source=source)
    assert schema_of(after) == schema_of(before)
    assert str(after.schema).count("isAdjustedToUTC=true") == 3


def test_times_that_are_and_are_not_said_to_be_utc_are_refused(tmp_path):
    source = tmp_path / "1.parquet"
    content = (ROOT / "tests/tables/pyarrow_17_times.parquet").read_bytes()
    in_utc, local = b"\x7c\x11\x1c\x2c", b"\x7c\x12\x1c\x2c"  # Thrift: a TIME; true, false
    assert content.count(in_utc) == 1
    source.write_bytes(content.replace(in_utc, local))
    with pytest.raises(FileRefusedError, match=r"'optional int64 field_id=-1 us .*isAdjusted"):
        rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})


@pytest.mark.parametrize(
    ("created_by", "encoding", "is_refused"),
    [
        ("parquet-mr version 1.7.0 (build)", "DELTA_BYTE_ARRAY", True),
        ("parquet-mr (build 32db0d15e2101)", "DELTA_BYTE_ARRAY", True),
        ("parquet-mr version 1.6.0rc7 (bu)", "DELTA_BYTE_ARRAY", True),
        ("parquet-mr version 1.8.0 (build)", "DELTA_BYTE_ARRAY", False),
        ("parquet-mr version 1.15.2 (bui..", "DELTA_BYTE_ARRAY", False),
        ("parquet-mr version 1.7.0 (build)", "DELTA_LENGTH_BYTE_ARRAY", False),
        ("parquet-xx version 1.7.0 (build)", "DELTA_BYTE_ARRAY", False),
    ],
)
def test_texts_that_old_java_cut_across_pages_are_refused(
    tmp_path, created_by, encoding, is_refused
):
    """Before parquet-mr 1.8, the first text of a page could begin with one of the page before."""
    written_by_java(tmp_path / "1.parquet", created_by, encoding)
    if not is_refused:
        rewrite_file.probe(f"file:{tmp_path}/1.parquet", None, {})
        return
    with pytest.raises(FileRefusedError, match="'caption' in DELTA_BYTE_ARRAY") as refused:
        rewrite_file.probe(f"file:{tmp_path}/1.parquet", None, {})
    assert refused.value.kind == "types"


def test_rows_that_pyarrow_can_not_filter_are_taken_as_slices(tmp_path):
    """There is no filter for strings kept as views; what else is in the file is written with it."""
    text = [f"a text of more than twelve bytes {n}" for n in range(10)]
    views = pa.array(text, pa.string_view())
    table = pa.table({"image_id": [f"{n}" for n in range(10)], "text": views})
    with pytest.raises(pa.ArrowNotImplementedError):
        table.filter(pa.array([True] * 10))
    source = write_parquet(table, tmp_path / "1.parquet", row_group_size=6)
    rewrite_file.rewrite(task(tmp_path, source), bitmap(0, 3, 4, 5, 9), {})
    after = pq.ParquetFile(tmp_path / "out/1.parquet")
    assert after.read()["text"].to_pylist() == [text[row] for row in (1, 2, 6, 7, 8)]
    assert after.schema_arrow.equals(table.schema)
    assert after.num_row_groups == 2


UUIDS = [bytes([number]) * 16 for number in range(3)]
IDS = {
    "text": (pa.array(["a", "b", None]), b"b"),
    "large text": (pa.array(["a", "ü", "c"], pa.large_string()), "ü".encode()),
    "text in views": (pa.array(["a", "b" * 20, None], pa.string_view()), b"b" * 20),
    "dictionary": (pa.array(["a", "b", "a"]).dictionary_encode(), b"b"),
    "binary": (pa.array([b"a", b"\xff", b""]), b"\xff"),
    "binary in views": (pa.array([b"a", b"\xff", b""], pa.binary_view()), b"\xff"),
    "16 fixed bytes": (pa.array(UUIDS, pa.binary(16)), UUIDS[1]),
    "UUID": (pa.array(UUIDS, pa.binary(16)).cast(pa.uuid()), UUIDS[1]),
    "int8": (pa.array([1, -128, None], pa.int8()), b"-128"),
    "uint64": (pa.array([1, 2**64 - 1, 0], pa.uint64()), b"18446744073709551615"),
    "decimal": (pa.array([1, -(10**19), 0], pa.decimal128(20, 0)), b"-10000000000000000000"),
    "duration": (pa.array([1, 5, 0], pa.duration("us")), b"5"),
}


@pytest.mark.parametrize(("ids", "planned"), IDS.values(), ids=IDS)
@pytest.mark.parametrize("action", ["remove", "extract", "annotate"])
def test_g10_the_planned_id_is_found_at_its_row(tmp_path, ids, planned, action):
    """IDs of each type, as their bytes, or as their digits if they are numbers."""
    table = pa.table({"image_id": ids, "image_id.x": [b"1", b"2", b"3"]})
    source = write_parquet(table, tmp_path / "1.parquet", row_group_size=2)
    selection = RowSelection(action, "image_id")
    checked = bitmap(1, checksum=zlib.crc32(planned))
    rewrite_file.rewrite(task(tmp_path, source), checked, {}, selection)
    num_rows = {"remove": 2, "extract": 1, "annotate": 3}[action]
    assert pq.read_metadata(tmp_path / "out/1.parquet").num_rows == num_rows
    wrong = bitmap(0, checksum=zlib.crc32(planned))
    with pytest.raises(FileRefusedError, match="other IDs") as refused:
        rewrite_file.rewrite(task(tmp_path, source), wrong, {}, selection)
    assert refused.value.kind == "ids"


def test_required_columns_field_ids_and_extension_types_stay(tmp_path):
    fields = [
        pa.field("image_id", pa.string(), nullable=False, metadata={"PARQUET:field_id": "7"}),
        pa.field("uuid", pa.uuid()),
    ]
    uuids = pa.array([b"0123456789abcdef"] * 2, pa.binary(16)).cast(pa.uuid())
    table = pa.table([["a", "b"], uuids], schema=pa.schema(fields))
    before, after = rewritten(tmp_path, table, 1)
    assert schema_of(after) == schema_of(before)
    assert "required binary field_id=7 image_id" in str(after.schema)


def test_a_type_that_this_pyarrow_does_not_know_is_refused(tmp_path):
    """It would be read and written as the bytes it is made of, without its name."""
    uuids = pa.array([b"0123456789abcdef"] * 2, pa.binary(16)).cast(pa.uuid())
    source = write_parquet(pa.table({"image_id": ["a", "b"], "new": uuids}), tmp_path / "1.parquet")
    as_uuid, as_none_yet = b"\xec\x00", b"\x9c\x00"  # in Thrift: field 14 of a union; field 9
    content = source.read_bytes()
    assert content.count(as_uuid) == 1
    source.write_bytes(content.replace(as_uuid, as_none_yet))
    with pytest.raises(FileRefusedError, match=r"new \(UNKNOWN\)") as refused:
        rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    assert refused.value.kind == "types"


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_the_codec_of_each_column_stays(tmp_path, codec):
    table = image_rows(["a", "b", "c"])
    codecs = dict.fromkeys(("image_id", "image", "width", "tags.list.element"), "none")
    before, after = rewritten(tmp_path, table, 1, compression=codecs | {"caption": codec})
    assert columns(after, "compression") == columns(before, "compression")
    assert columns(after, "compression")["caption"] == codec.upper().replace("NONE", "UNCOMPRESSED")


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
def test_only_bytes_that_do_not_compress_lose_their_codec(tmp_path, codec):
    """The sizes are those of all row groups: here some of the second column's do not compress."""
    noise = [random.Random(number).randbytes(5_000) for number in range(8)]
    empty = [bytes(5_000)] * 8
    table = pa.table(
        {
            "image_id": [str(number) for number in range(8)],
            "image": noise,
            "mixed": noise[:6] + empty[:2],
            "drawing": empty,
            "text": [one.hex() for one in noise],
            "nested": [{"bytes": [one]} for one in noise],
        }
    )
    _, after = rewritten(
        tmp_path, table, 1, compression=codec, use_dictionary=False, row_group_size=2
    )
    found = columns(after, "compression")
    without = {"image", "nested.bytes.list.element"}
    assert {name for name, value in found.items() if value == "UNCOMPRESSED"} == without
    assert {value for name, value in found.items() if name not in without} == {codec.upper()}


def test_images_with_a_dictionary_keep_their_codec(tmp_path):
    """The dictionary may be dropped, and its values be many times as long."""
    noise = [random.Random(number).randbytes(20_000) for number in range(4)]
    table = pa.table(
        {"image_id": map(str, range(40)), "image": [noise[n // 10] for n in range(40)]}
    )
    _, after = rewritten(tmp_path, table, 1, compression="zstd")
    assert columns(after, "compression")["image"] == "ZSTD"
    sizes = [(tmp_path / where / "1.parquet").stat().st_size for where in ("in", "out")]
    assert sizes[1] < 1.1 * sizes[0]


def columns(file: pq.ParquetFile, fact: str) -> dict[str, object]:
    group = file.metadata.row_group(0)
    chunks = [group.column(index) for index in range(group.num_columns)]
    return {chunk.path_in_schema: getattr(chunk, fact) for chunk in chunks}


def test_dictionary_statistics_and_encoding_of_each_column_stay(tmp_path):
    table = image_rows([f"id-{n}" for n in range(50)])
    before, after = rewritten(
        tmp_path,
        table,
        1,
        use_dictionary=["caption"],
        write_statistics=["image_id"],
        column_encoding={"width": "DELTA_BINARY_PACKED", "image_id": "DELTA_BYTE_ARRAY"},
    )
    for fact in ("encodings", "is_stats_set"):
        assert columns(after, fact) == columns(before, fact)
    assert "RLE_DICTIONARY" in columns(after, "encodings")["caption"]
    assert "DELTA_BYTE_ARRAY" in columns(after, "encodings")["image_id"]


def test_a_first_row_group_without_values_decides_nothing(tmp_path):
    images = pa.array([None] * 10 + [bytes([n]) * 5_000 for n in range(30)])
    labels = pa.array([None] * 10 + ["cat"] * 30)
    table = pa.table({"image_id": [f"id-{n}" for n in range(40)], "image": images, "label": labels})
    before, after = rewritten(tmp_path, table, 3, row_group_size=10)
    assert before.num_row_groups == after.num_row_groups == 4
    assert "RLE_DICTIONARY" in after.metadata.row_group(3).column(2).encodings
    assert "RLE_DICTIONARY" not in after.metadata.row_group(3).column(1).encodings


def test_heavy_values_get_no_dictionary(tmp_path):
    """A dictionary of images would be begun and dropped in each row group."""
    images = pa.array([bytes([n]) * 5_000 for n in range(20)])
    table = pa.table({"image_id": [f"id-{n}" for n in range(20)], "image": images})
    before, after = rewritten(tmp_path, table, 3)
    assert "RLE_DICTIONARY" in columns(before, "encodings")["image"]
    assert "RLE_DICTIONARY" not in columns(after, "encodings")["image"]
    assert "RLE_DICTIONARY" in columns(after, "encodings")["image_id"]


def test_page_index_sorting_and_format_version_stay(tmp_path):
    table = image_rows(["a", "b", "c"])
    sorting = [pq.SortingColumn(0)]
    before, after = rewritten(
        tmp_path, table, 1, write_page_index=True, sorting_columns=sorting, version="1.0"
    )
    assert after.metadata.row_group(0).sorting_columns == tuple(sorting)
    assert columns(after, "has_offset_index") == columns(before, "has_offset_index")
    assert after.metadata.format_version == before.metadata.format_version == "1.0"


def test_row_groups_keep_their_rows_together(tmp_path):
    table = image_rows([f"id-{n}" for n in range(10)])
    _, after = rewritten(tmp_path, table, 0, 4, 5, 6, 7, row_group_size=4)
    groups = range(after.num_row_groups)
    assert [after.metadata.row_group(index).num_rows for index in groups] == [3, 2]


def test_a_row_group_that_is_too_heavy_is_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_rows, "_BATCH_BYTES", 1_000)
    monkeypatch.setattr(kept_rows, "_ROW_GROUP_BYTES", 1_000)
    before, after = rewritten(tmp_path, image_rows([f"id-{n}" for n in range(30)]), 3)
    assert before.num_row_groups == 1 < after.num_row_groups


def test_key_value_metadata_stays_and_no_more_is_added(tmp_path):
    metadata = {"org.apache.spark.version": "4.0.4", "étiquette": "ü", "empty": ""}
    table = image_rows(["a", "b"])
    for store_schema in (True, False):
        source = tmp_path / "in/1.parquet"
        source.parent.mkdir(exist_ok=True)
        with pq.ParquetWriter(source, table.schema, store_schema=store_schema) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata(metadata)
        before, after = rewritten(tmp_path, table, 0, source=source)
        assert after.metadata.metadata == before.metadata.metadata
        assert (b"ARROW:schema" in after.metadata.metadata) == store_schema


@pytest.mark.parametrize(
    ("name", "index", "action"),
    [
        ("pandas", [{"kind": "range", "name": None, "start": 0, "stop": 15, "step": 1}], "remove"),
        ("pandas", [{"kind": "range", "name": None, "start": 0, "stop": 5, "step": 1}], "extract"),
        ("pandas_index", [], "remove"),  # 102 would be the label of another row
    ],
)
def test_an_index_of_pandas_has_a_label_for_each_row(tmp_path, name, index, action):
    """cudf and awswrangler raise if it has more; pyarrow's readers look into Arrow's schema."""
    source = ROOT / f"tests/tables/{name}.parquet"
    selection = RowSelection(action, "image_id")
    rewrite_file.rewrite(task(tmp_path, source), bitmap(0, 1, 2, 3, 19), {}, selection)
    before, after = pq.ParquetFile(source), pq.ParquetFile(tmp_path / "out" / source.name)
    note = json.loads(after.metadata.metadata[b"pandas"])
    assert note["index_columns"] == index
    assert note == json.loads(before.metadata.metadata[b"pandas"]) | {"index_columns": index}
    assert after.schema_arrow.pandas_metadata == note
    assert after.schema_arrow.equals(before.schema_arrow)


def test_pages_that_were_cut_by_content_stay_as_they_are(tmp_path):
    """Hugging Face's storage keeps equal pages once, so that a version is a small upload."""
    source = ROOT / "tests/tables/huggingface.parquet"
    rewrite_file.rewrite(task(tmp_path, source), bitmap(1_000), {})
    after = tmp_path / "out/huggingface.parquet"
    assert pq.read_metadata(after).num_rows == 1_999
    assert same_fraction(after, source) > 0.5
    assert len(pages_of(after)) == len(pages_of(source)) > 15
    assert pq.read_metadata(after).metadata == pq.read_metadata(source).metadata


@pytest.mark.parametrize(
    "note", ["true", "no JSON", '{"min_chunk_size": 9, "max_chunk_size": 1}', "null"]
)
def test_a_note_on_pages_stays_only_if_it_is_true(tmp_path, note):
    """pyarrow before 21 can't make it true, and no pyarrow understands every note."""
    table, source = image_rows(["a", "b"]), tmp_path / "1.parquet"
    with pq.ParquetWriter(source, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"content_defined_chunking": note})
    rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    expected = pq.read_metadata(source).metadata
    if note != "true":
        del expected[b"content_defined_chunking"]
    assert pq.read_metadata(tmp_path / "out/1.parquet").metadata == expected


@pytest.mark.parametrize("rows", [[0, 10**15], [-(62135596800 * 10**6), 253402300799999999]])
def test_timestamps_of_12_bytes_stay_whatever_their_year(tmp_path, rows):
    """INT96, as Spark and Hive write it: nanoseconds would overflow past the year 2262."""
    table = pa.table({"image_id": ["a", "b"], "taken": pa.array(rows, pa.timestamp("us"))})
    source = write_parquet(table, tmp_path / "in/1.parquet", use_deprecated_int96_timestamps=True)
    rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    before, after = (
        pq.ParquetFile(path, coerce_int96_timestamp_unit="us")
        for path in (source, tmp_path / "out/1.parquet")
    )
    assert schema_of(after) == schema_of(before)
    assert after.read()["taken"].cast(pa.int64()).to_pylist() == rows[1:]


@pytest.mark.parametrize("action", ["annotate", "extract"])
def test_a_file_without_row_groups_keeps_its_types(tmp_path, action):
    fields = [("image_id", pa.string()), ("at", pa.timestamp("us")), ("n", pa.decimal128(9, 2))]
    source = tmp_path / "in/1.parquet"
    source.parent.mkdir()
    options = {"use_deprecated_int96_timestamps": True, "store_decimal_as_integer": True}
    pq.ParquetWriter(source, pa.schema(fields), **options).close()
    given = task(tmp_path, source, keeps_empty=True)
    rewrite_file.rewrite(given, None, {}, RowSelection(action, "image_id"))
    before, after = pq.ParquetFile(source), pq.ParquetFile(tmp_path / "out/1.parquet")
    assert before.metadata.num_row_groups == 0
    assert set(schema_of(before)) <= set(schema_of(after))


NANOSECONDS = pa.array([1_000, 1_001, None], pa.timestamp("ns"))


@pytest.mark.parametrize(
    "column",
    [
        NANOSECONDS,
        pa.StructArray.from_arrays([NANOSECONDS], ["at"]),
        pa.ListArray.from_arrays([0, 1, 2, 3], NANOSECONDS),
        pa.MapArray.from_arrays([0, 1, 2, 3], pa.array(["x", "y", "z"]), NANOSECONDS),
    ],
    ids=lambda column: str(column.type),
)
def test_timestamps_of_12_bytes_keep_their_nanoseconds_also_if_they_are_nested(tmp_path, column):
    table = pa.table({"image_id": ["a", "b", "c"], "taken.at": column})
    source = write_parquet(table, tmp_path / "in/1.parquet", use_deprecated_int96_timestamps=True)
    rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    before, after = pq.ParquetFile(source), pq.ParquetFile(tmp_path / "out/1.parquet")
    assert schema_of(after) == schema_of(before)
    assert after.read().equals(before.read().slice(1))


def test_nanoseconds_beside_years_that_they_cant_hold_are_refused(tmp_path):
    late = pa.array([10**16, 0, 0], pa.timestamp("us"))
    table = pa.table({"image_id": ["a", "b", "c"], "taken": NANOSECONDS, "late": late})
    source = write_parquet(table, tmp_path / "in/1.parquet", use_deprecated_int96_timestamps=True)
    with pytest.raises(FileRefusedError, match="nanoseconds") as refused:
        rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    assert refused.value.kind == "types"


def test_a_mixture_that_pyarrow_would_change_is_refused(tmp_path, monkeypatch):
    """Whatever pyarrow would write as another type is found before a row is written."""
    monkeypatch.setattr(writer_options, "_variants", lambda _: iter([{"version": "1.0"}]))
    table = pa.table({"image_id": ["a", "b"], "n": pa.array([1, 2], pa.uint32())})
    source = write_parquet(table, tmp_path / "in/1.parquet")
    with pytest.raises(FileRefusedError, match=r"'optional int32 .* n \(Int"):
        rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    assert not (tmp_path / "out").exists()


def test_a_file_that_loses_nothing_is_copied_to_the_byte(tmp_path):
    source = write_parquet(image_rows(["a", "b"]), tmp_path / "in/p=%2F/part 1")
    done = rewrite_file.rewrite(
        task(tmp_path, source, target=f"file:{tmp_path}/out/p=%2F/part 1"), None, {}
    )
    assert done[:3] == (2, source.stat().st_size, True)
    assert tree_digest(tmp_path / "out") == tree_digest(tmp_path / "in")


def test_a_file_that_loses_all_is_left_out_or_kept_for_its_schema(tmp_path):
    source = write_parquet(image_rows(["a", "b"]), tmp_path / "in/1.parquet")
    done = rewrite_file.rewrite(task(tmp_path, source), bitmap(0, 1), {})
    assert done[:3] == (0, 0, False)
    assert not (tmp_path / "out").exists()
    rewrite_file.rewrite(task(tmp_path, source, keeps_empty=True), bitmap(0, 1), {})
    empty = pq.ParquetFile(tmp_path / "out/1.parquet")
    assert empty.metadata.num_rows == 0
    assert schema_of(empty) == schema_of(pq.ParquetFile(source))


def test_bits_of_many_buckets_and_row_groups_are_found(tmp_path):
    rows = 3 * 32_768 + 5
    table = pa.table({"image_id": pa.array(range(rows), pa.int64())})
    gone = (0, 7, 8, 32_767, 32_768, 65_535, 70_001, 98_304, rows - 1)
    rewritten(tmp_path, table, *gone, row_group_size=10_000)


@pytest.mark.parametrize(
    "changed", [{"size_bytes": 7}, {"num_rows": 3}, {"source": "file:/nowhere/1.parquet"}]
)
def test_a_file_that_is_not_the_planned_one_is_refused(tmp_path, changed):
    source = write_parquet(image_rows(["a", "b"]), tmp_path / "in/1.parquet")
    planned = dataclasses.replace(task(tmp_path, source), **changed)
    with pytest.raises(FileRefusedError, match="was changed") as refused:
        rewrite_file.rewrite(planned, bitmap(0), {})
    assert refused.value.kind == "changed"
    assert not (tmp_path / "out").exists()


def test_a_row_past_the_end_is_an_error(tmp_path):
    source = write_parquet(image_rows(["a", "b"]), tmp_path / "in/1.parquet")
    for row in (2, 3, 40):
        with pytest.raises(RuntimeError, match="last of the 2 rows"):
            rewrite_file.rewrite(task(tmp_path, source), bitmap(0, row), {})


def test_g9_two_attempts_at_a_file_leave_one(tmp_path):
    source = write_parquet(image_rows(["a", "b", "c"]), tmp_path / "in/1.parquet")
    for _ in range(2):
        rewrite_file.rewrite(task(tmp_path, source), bitmap(1), {})
    assert names_in(tmp_path / "out") == ["1.parquet"]
    assert pq.read_table(tmp_path / "out/1.parquet")["image_id"].to_pylist() == ["a", "c"]


def test_a_flipped_bit_under_a_page_checksum_is_found(tmp_path):
    table = pa.table({"image_id": ["a", "b"], "image": [b"x" * 1000, b"y" * 1000]})
    source = write_parquet(
        table, tmp_path / "in/1.parquet", write_page_checksum=True, compression="none"
    )
    content = bytearray(source.read_bytes())
    content[content.index(b"yyyy")] ^= 1
    source.write_bytes(content)
    with pytest.raises(FileReadError, match=r"in/1\.parquet.*CRC"):
        rewrite_file.rewrite(task(tmp_path, source), bitmap(0), {})
    assert not (tmp_path / "out").exists()
    assert names_in(tmp_path / "partial") == []  # the next attempt has the space


def test_pages_and_batches_of_big_images_stay_small(tmp_path):
    """pyarrow looks at a page's size after 1,024 values, unless it is told to look sooner."""
    images = pa.array([bytes([n % 251]) * 300_000 for n in range(40)])
    table = pa.table({"image_id": [f"id-{n}" for n in range(40)], "image": images})
    source = write_parquet(table, tmp_path / "in/1.parquet", compression="none")
    options = writer_options.writer_options(pq.ParquetFile(source))
    assert options["write_batch_size"] == 3
    rewritten(tmp_path, table, 3, source=source)


def test_an_image_that_many_rows_share_does_not_make_batches_heavy(tmp_path):
    """The file has it once, in a dictionary; a batch has it as often as rows do."""
    images = pa.array([b"x" * 100_000] * 2_000)
    table = pa.table({"image_id": [f"id-{n}" for n in range(2_000)], "image": images})
    source = write_parquet(table, tmp_path / "in/1.parquet")
    assert source.stat().st_size < 1_000_000
    before, _ = rewritten(tmp_path, table, 3, source=source)
    weights = [batch.nbytes for batch in kept_rows._batches(before, 0, str(source))]
    assert max(weights) < 10 * 1024**2
    assert len(weights) < 30


def test_a_late_attempt_does_not_bring_back_what_was_cleaned_up(tmp_path):
    source = write_parquet(image_rows(["a", "b"]), tmp_path / "in/1.parquet")
    gone = {"target": f"file:{tmp_path}/gone/out/1", "partial_directory": f"file:{tmp_path}/gone/p"}
    with pytest.raises(OSError, match="gone"):
        rewrite_file.rewrite(task(tmp_path, source, **gone), bitmap(0), {})
    assert names_in(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("uri", "kind", "path"),
    [
        ("file:/a b/x%20y.parquet", "LocalFileSystem", "/a b/x%20y.parquet"),
        ("file:///a/b", "LocalFileSystem", "/a/b"),
        ("s3a://bucket/k=v/x%2Fy", "S3FileSystem", "bucket/k=v/x%2Fy"),
        ("s3://bucket/x", "S3FileSystem", "bucket/x"),
        ("gs://bucket/x", "GcsFileSystem", "bucket/x"),
        ("abfss://box@account.dfs.core.windows.net/x", "AzureFileSystem", "box/x"),
    ],
)
def test_hadoop_uris_are_mapped(uri, kind, path):
    from dedup_lib.executor.stores import open_store

    options = {"region": "eu-west-1"} if uri.startswith("s3") else {}
    store, found = open_store(uri, options)
    assert (type(store).__name__, found) == (kind, path)


@pytest.mark.parametrize(
    ("uri", "options", "message"),
    [
        ("wasb://box@account/x", {}, "no file system for wasb"),
        ("s3a://bucket/x", {"colour": "blue"}, "colour"),
    ],
)
def test_stores_that_pyarrow_lacks_are_named(uri, options, message):
    from dedup_lib.executor.stores import open_store

    with pytest.raises(FileRefusedError, match=message) as refused:
        open_store(uri, options)
    assert refused.value.kind == "unavailable"


def test_a_store_that_can_t_be_reached_is_found_by_the_first_look():
    with pytest.raises(FileRefusedError, match="can't read 'hdfs://nowhere:8020/x'"):
        rewrite_file.probe("hdfs://nowhere:8020/x", None, {})
