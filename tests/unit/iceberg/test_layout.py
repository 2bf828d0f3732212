"""The layout of a new Iceberg table, from what Iceberg shows of another."""

import pytest
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    IntegerType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from dedup_lib.errors import UnsupportedError
from dedup_lib.iceberg.layout import field_names, memory_properties, sort_terms
from dedup_lib.iceberg.row_groups import memory_bytes, needed_bytes

INNER = StructType([StructField("x y", IntegerType()), StructField("pixels", BinaryType())])
SCHEMA = StructType(
    [
        StructField("id", StringType()),
        StructField("a, b.c`", IntegerType()),
        StructField("s", INNER),
        StructField("list", ArrayType(BinaryType())),
        StructField("map", MapType(StringType(), BinaryType())),
    ]
)
NAMES = dict(field_names(SCHEMA))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("", []),
        ("id ASC NULLS FIRST", ["`id` ASC NULLS FIRST"]),
        (
            "a, b.c` DESC NULLS LAST, s.x y ASC NULLS FIRST",
            ["`a, b.c``` DESC NULLS LAST", "`s`.`x y` ASC NULLS FIRST"],
        ),
        (
            "bucket(4, id) ASC NULLS FIRST, truncate(a, b.c`, 3) ASC NULLS FIRST",
            ["bucket(4, `id`) ASC NULLS FIRST", "truncate(3, `a, b.c```) ASC NULLS FIRST"],
        ),
        ("days(id) ASC NULLS FIRST", ["days(`id`) ASC NULLS FIRST"]),
    ],
)
def test_a_sort_order_is_spelled_for_sql(shown, expected):
    assert sort_terms(shown, NAMES, "t") == expected


@pytest.mark.parametrize("shown", ["zorder(id) ASC NULLS FIRST", "gone ASC NULLS FIRST", "id"])
def test_a_sort_order_that_can_not_be_spelled_is_refused(shown):
    with pytest.raises(UnsupportedError, match="sort order"):
        sort_terms(shown, NAMES, "t")


def test_binary_fields_have_no_statistics():
    found = memory_properties(SCHEMA, {"parquet.block.size": "7"})
    without = {key.rpartition("column.")[2] for key, value in found.items() if value == "none"}
    assert without == {"s.pixels", "list.element", "map.value"}
    assert found["write.parquet.row-group-size-bytes"] == "7"
    assert found["write.parquet.row-group-check-min-record-count"] == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1200m", 1200 * 1024**2), ("2g", 2 * 1024**3), ("2GB", 2 * 1024**3), ("5", 5 * 1024**2)],
)
def test_memory_settings(text, expected):
    assert memory_bytes(text) == expected
    assert memory_bytes("much") is None


def test_tasks_hold_one_row_group_each():
    assert needed_bytes([]) == 0
    assert needed_bytes([5, 7]) == (300 + 2 * 64) * 1024**2 + 12
