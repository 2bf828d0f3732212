"""Columns of an Iceberg schema, by the types and IDs of their fields."""

import pickle
from contextlib import nullcontext

import pyarrow as pa
import pytest

from dedup_lib.executor.parquet_values.column_chunks import FieldColumn, row_groups
from dedup_lib.executor.parquet_values.file_slices import FileSlice, UnreadValueError
from dedup_lib.iceberg.metadata_file import FieldIds, unread_columns
from tests.support.tables.made import write_parquet

FIELDS = [
    {"id": 1, "name": "image_id", "type": "string"},
    {
        "id": 2,
        "name": "image",
        "type": {
            "type": "struct",
            "fields": [
                {"id": 5, "name": "bytes", "type": "binary"},
                {"id": 6, "name": "taken", "type": "timestamptz_ns"},
            ],
        },
    },
    {"id": 3, "name": "times", "type": {"type": "list", "element-id": 7, "element": "time"}},
    {
        "id": 4,
        "name": "places",
        "type": {
            "type": "map",
            "key-id": 8,
            "key": "string",
            "value-id": 9,
            "value": "geometry(OGC:CRS84)",
        },
    },
    {"id": 10, "name": "time", "type": "timestamp"},
    {"id": 11, "name": "price", "type": "decimal(9, 2)"},
]


def test_columns_that_spark_can_t_read_are_found_at_any_depth():
    assert unread_columns(FIELDS) == [
        ("image.taken", "timestamptz_ns"),
        ("times.element", "time"),
        ("places.value", "geometry(OGC:CRS84)"),
    ]


def test_a_column_keeps_its_id_on_the_way_to_an_executor():
    found = FieldIds(FIELDS).path(["image", "bytes"])
    assert found == ("image", "bytes")
    sent = pickle.loads(pickle.dumps(found))
    assert (sent, sent.field_id) == (found, 5)
    assert not isinstance(FieldIds(FIELDS).path(["image", "unknown"]), FieldColumn)


def found_in(path, *columns):
    data = path.read_bytes()
    whole = FileSlice(lambda offset, size: data[offset : offset + size], 0, len(data))
    (group,) = row_groups(whole, [0], columns, lambda _: nullcontext())
    return {column: group.chunk(column) for column in columns}


def test_a_column_is_found_by_its_id_and_by_its_name_only_where_a_file_has_no_ids(tmp_path):
    def file(name, **metadata):
        fields = [
            pa.field(column, pa.binary(), metadata={"PARQUET:field_id": of} if of else None)
            for column, of in metadata.items()
        ]
        rows = pa.table([pa.array([column.encode()]) for column in metadata], pa.schema(fields))
        return write_parquet(rows, tmp_path / name)

    wanted = FieldColumn(["image"], 2)
    old = file("old.parquet", image="9", photo="2")
    assert found_in(old, wanted) == {wanted: found_in(old, ("photo",))["photo",]}
    plain = file("plain.parquet", image=None, photo=None)
    assert found_in(plain, wanted) == {wanted: found_in(plain, ("image",))["image",]}
    other = file("other.parquet", image="9", photo="8")
    with pytest.raises(UnreadValueError, match="the file has no column 'image'"):
        found_in(other, wanted)
