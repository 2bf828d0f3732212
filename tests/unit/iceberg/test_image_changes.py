"""What an Iceberg table's list of snapshots says about the time since an earlier one."""

import pytest
from pyspark.sql.types import (
    ArrayType,
    IntegerType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from dedup_lib.iceberg.image_changes import Commit, columns_of, commits_since


def commit(snapshot_id, parent_id, operation="append", **summary):
    found = {key.replace("_", "-"): value for key, value in summary.items()}
    return Commit(snapshot_id, parent_id, operation, found)


# Snapshot 4 is of a branch; the one before 1 has expired.
KNOWN = [commit(1, 0), commit(2, 1), commit(4, 2), commit(3, 2)]


@pytest.mark.parametrize(
    ("earlier", "newest", "expected"),
    [(1, 3, [3, 2]), (0, 3, [3, 2, 1]), (2, 4, [4]), (3, 3, [])],
)
def test_the_commits_between_two_snapshots(earlier, newest, expected):
    found = commits_since(KNOWN, earlier, newest)
    assert [one.snapshot_id for one in found] == expected


@pytest.mark.parametrize(
    ("earlier", "newest"),
    [(4, 3), (3, 2), (9, 3), (-1, 3), (None, 3), (3, None)],
    ids=["branch", "rolled back", "made again", "expired", "no rows then", "no rows now"],
)
def test_a_snapshot_that_the_newest_does_not_come_from(earlier, newest):
    assert commits_since(KNOWN, earlier, newest) is None


@pytest.mark.parametrize(
    ("operation", "summary", "expected"),
    [
        ("append", {"added_data_files": "2"}, False),
        ("replace", {"added_data_files": "1", "deleted_data_files": "3"}, False),
        ("delete", {"deleted_data_files": "1"}, False),
        ("overwrite", {"added_delete_files": "1"}, False),
        ("overwrite", {"added_delete_files": "1", "added_data_files": "1"}, True),
        ("overwrite", {"added_data_files": "1"}, True),
        ("overwrite", {}, True),
        ("unheard of", {}, True),
    ],
)
def test_what_may_change_the_contents_of_rows(operation, summary, expected):
    assert commit(2, 1, operation, **summary).may_change_rows is expected


def test_a_column_is_noted_with_the_ids_of_its_fields():
    schema = StructType(
        [
            StructField("id", StringType()),
            StructField("tags", ArrayType(StructType([StructField("x", IntegerType())]))),
            StructField("m", MapType(StringType(), IntegerType())),
        ]
    )
    inner = {"type": "struct", "fields": [{"id": 6, "name": "x", "type": "int"}]}
    fields = [
        {"id": 1, "name": "id", "type": "string"},
        {"id": 4, "name": "tags", "type": {"type": "list", "element-id": 5, "element": inner}},
        {
            "id": 7,
            "name": "m",
            "type": {"type": "map", "key-id": 8, "key": "string", "value-id": 9, "value": "int"},
        },
    ]
    assert columns_of(schema, fields) == (
        "`id` string (field 1)",
        "`tags` array<struct<x:int>> (field 4, 5, 6)",
        "`m` map<string,int> (field 7, 8, 9)",
    )
    assert columns_of(schema, None)[0] == "`id` string"
