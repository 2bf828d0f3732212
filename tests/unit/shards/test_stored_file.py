"""Files of a table that has other names and types: found columns, values, and what is refused."""

import io
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.checked_ids import rows_with_ids
from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.shards.packing.pack_tasks import ShardsOfFile, pack_file
from dedup_lib.executor.shards.packing.stored_columns import StoredSchema, columns_of
from dedup_lib.executor.shards.packing.stored_file import StoredFile, _may_be_julian
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import bitmap, task
from tests.support.tables.made import names_in, write_parquet
from tests.support.tables.made_shards import read_by_tarfile


def field(name, of, **metadata):
    """A column as Spark's JSON has it; `stored` is its name in the files."""
    if stored := metadata.pop("stored", None):
        metadata["delta.columnMapping.physicalName"] = stored
    return {"name": name, "type": of, "nullable": True, "metadata": metadata}


def struct(*fields):
    return {"type": "struct", "fields": list(fields)}


def array(of):
    return {"type": "array", "elementType": of, "containsNull": True}


def schema_of(*fields, by_id=False, partitions=()):
    return StoredSchema(json.dumps(struct(*fields)), by_id, partitions)


def stored(table, schema, partition=(), **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return StoredFile(pq.ParquetFile(sink), schema, dict(partition), "f.parquet")


def values(table, *fields, **given):
    """The rows of a table that was written to a file, with the columns of a schema."""
    return stored(table, schema_of(*fields), **given).typed(table).to_pylist()


def test_types_are_widened_and_what_the_file_lacks_is_null():
    table = pa.table({"n": pa.array([1, None], pa.int32()), "x": pa.array([0.1, 2], pa.float32())})
    found = values(table, field("n", "decimal(12,2)"), field("new", "date"), field("x", "double"))
    assert [str(row["n"]) for row in found] == ["1.00", "None"]
    assert [row["x"] for row in found] == [pa.scalar(0.1, pa.float32()).as_py(), 2]
    assert [row["new"] for row in found] == [None, None]


def test_two_columns_that_changed_their_names_are_not_mixed_up():
    table = pa.table({"a": [1], "b": [2], "s": [{"a": 3, "b": 4}], "l": [[{"a": 5}]]})
    swapped = struct(field("b", "long", stored="a"), field("a", "long", stored="b"))
    fields = [
        field("b", "long", stored="a"),
        field("a", "long", stored="b"),
        field("s", swapped),
        field("l", array(struct(field("z", "long", stored="a"), field("a", "long", stored="q")))),
    ]
    expected = {"b": 1, "a": 2, "s": {"b": 3, "a": 4}, "l": [{"z": 5, "a": None}]}
    assert values(table, *fields) == [expected]


def test_parts_of_arrays_and_nulls_stay_where_they_are():
    of = pa.list_(pa.struct([("a", pa.int32())]))
    lists = [[{"a": 0}], None, [], [None, {"a": 1}], [{"a": 2}, {"a": None}]]
    maps = [[("k", {"a": n})] if n % 2 else None for n in range(5)]
    map_type = pa.map_(pa.string(), of.value_type)
    table = pa.table({"l": pa.array(lists, of), "m": pa.array(maps, map_type)})
    inner = struct(field("z", "long", stored="a"))
    map_of = {"type": "map", "keyType": "string", "valueType": inner, "valueContainsNull": True}
    file = stored(table, schema_of(field("l", array(inner)), field("m", map_of)))
    found = file.typed(table.slice(1, 3)).to_pylist()
    assert [row["l"] for row in found] == [None, [], [None, {"z": 1}]]
    assert [row["m"] for row in found] == [[("k", {"z": 1})], None, [("k", {"z": 3})]]


def test_other_programs_forms_of_arrow_types_are_read():
    table = pa.table(
        {
            "text": pa.array(["a", "a"]).dictionary_encode(),
            "vector": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
            "large": pa.array([["x"], None], pa.large_list(pa.large_string())),
        }
    )
    fields = [
        field("text", "string"),
        field("vector", array("float")),
        field("large", array("string")),
    ]
    assert values(table, *fields) == table.to_pylist()


def test_columns_are_found_by_id_if_the_table_says_so():
    numbers = {b"PARQUET:field_id": b"7"}
    table = pa.table([pa.array([1])], pa.schema([pa.field("any", pa.int64(), metadata=numbers)]))
    fields = [
        field(name, "long", **{"delta.columnMapping.id": n}) for name, n in (("any", 1), ("x", 7))
    ]
    file = stored(table, schema_of(*fields, by_id=True))
    assert file.typed(table).to_pylist() == [{"any": None, "x": 1}]
    with pytest.raises(FileRefusedError, match="no field IDs"):
        stored(pa.table({"x": [1]}), schema_of(*fields, by_id=True))


@pytest.mark.parametrize(
    ("stored_as", "column", "words"),
    [
        ({"ID": [1]}, field("id", "long"), "differs by case"),
        ({"s": [{"a": 1}]}, field("s", struct(field("b", "long"))), "no field of the struct"),
        ({"x": [1]}, field("n", "long", EXISTS_DEFAULT="1"), "has a default"),
        ({"n": [2**40]}, field("n", "integer"), "can't become int32"),
        ({"n": [b"\xff"]}, field("n", "string"), "can't become string"),
        ({"n": [1]}, field("n", array("long")), "can't become list"),
        ({"n": [1]}, field("n", "variant"), "has the type variant"),
        ({"n": ["a"]}, field("n", "string", __CHAR_VARCHAR_TYPE_STRING="char(3)"), r"char\(3\)"),
    ],
)
def test_what_is_not_surely_read_as_spark_does_is_refused(stored_as, column, words):
    with pytest.raises(FileRefusedError, match=words) as caught:
        values(pa.table(stored_as), column)
    assert caught.value.kind == "types"
    assert "--output-format parquet" in str(caught.value)


def test_varchar_is_text():
    declared = {"__CHAR_VARCHAR_TYPE_STRING": "varchar(3)"}
    assert values(pa.table({"n": ["a"]}), field("n", "string", **declared)) == [{"n": "a"}]


@pytest.mark.parametrize("by", [b"2.4.8", b"3.0.1"])
def test_dates_of_another_calendar_are_refused(by):
    days = pa.array([-141_428, 0], pa.date32())
    table = pa.table({"d": days}).replace_schema_metadata({b"org.apache.spark.version": by})
    assert values(table.slice(1), field("d", "date"))[0]["d"].year == 1970
    with pytest.raises(FileRefusedError, match="another calendar"):
        values(table, field("d", "date"))
    newer = table.replace_schema_metadata({b"org.apache.spark.version": b"3.1.0"})
    assert len(values(newer, field("d", "date"))) == 2


def test_planned_ids_are_found_and_counted(tmp_path):
    table = pa.table({"id": ["a", None, "b", "a", ""]})
    file = pq.ParquetFile(write_parquet(table, tmp_path / "1.parquet"))
    found = rows_with_ids(file, [b"a", b"a"], "id", "f").to_pylist()
    assert found == [True, False, False, True, False]
    assert not any(rows_with_ids(file, [], "absent", "f").to_pylist())
    for planned in ([b"a"], [b"b", b"c"], [b""]):
        with pytest.raises(FileRefusedError, match=r"has \d rows with the IDs") as caught:
            rows_with_ids(file, planned, "id", "f")
        assert caught.value.kind == "ids"


def test_spark_2_left_only_the_version_of_its_library():
    old, other = "parquet-mr version 1.10.1 (build a89df8f)", "parquet-cpp-arrow version 25.0.0"
    assert _may_be_julian(SimpleNamespace(metadata=None, created_by=old))
    assert not _may_be_julian(SimpleNamespace(metadata=None, created_by=other))
    newer = {b"org.apache.spark.version": b"4.0.4"}
    assert not _may_be_julian(SimpleNamespace(metadata=newer, created_by=old))


def pack(folder, visible, planned=(), stored="image", **changed):
    table = pa.table({"id": list("abcd"), stored: [b"1", b"2", b"3", b"4"]})
    source = write_parquet(table, folder / "in/1.parquet")
    (folder / "out").mkdir(exist_ok=True)
    schema = schema_of(field("id", "string"), field("image", "binary"))
    shards = ShardsOfFile(0, f"file:{folder}/out", range(1), 1, 10, {}, schema)
    given = task(folder, source, visible=visible, **changed)
    return pack_file(given, list(planned), {}, RowSelection("remove", "id"), shards)


def test_hidden_rows_are_left_out_with_the_planned_ones(tmp_path):
    assert pack(tmp_path, bitmap(0, 2, 3), bitmap(2), num_rows=3).num_rows == 2
    names = [name for name, _ in read_by_tarfile((tmp_path / "out/0.tar").read_bytes())]
    assert [name for name in names if name.endswith(".bin")] == ["a.bin", "d.bin"]


@pytest.mark.parametrize(
    ("visible", "planned", "num_rows", "words"),
    [
        (bitmap(0, 1), bitmap(0), 3, "2 rows that the table shows, but had 3"),
        (bitmap(0, 1), bitmap(2), 2, "the plan has hidden rows"),
        (bitmap(0, 1, checksum=5), (), 2, "has other IDs"),
        (None, (), 3, "was changed"),
    ],
)
def test_what_spark_shows_and_what_the_file_has_must_agree(
    tmp_path, visible, planned, num_rows, words
):
    with pytest.raises(FileRefusedError, match=words):
        pack(tmp_path, visible, planned, num_rows=num_rows)
    assert names_in(tmp_path / "out") == []


def test_a_file_in_which_no_picture_is_found_is_refused(tmp_path):
    """If a name is mistaken, all pictures would be NULL, and all counts would fit."""
    with pytest.raises(FileRefusedError, match="none of the table's columns of bytes"):
        pack(tmp_path, bitmap(0, 2), num_rows=2, stored="col-1234")
    assert names_in(tmp_path / "out") == []


def test_types_without_a_file():
    given = {"string": "string", "timestamp": "timestamp[us, tz=UTC]", "void": "null"}
    columns = columns_of(schema_of(*(field(name, name) for name in given)))
    assert [str(column.type) for column in columns] == list(given.values())
