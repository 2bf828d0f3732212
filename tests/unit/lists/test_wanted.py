"""IDs of list and table have one type: every pair of two types is refused, and nothing is cast."""

import itertools

import pytest
from pyspark.sql import types as T

from dedup_lib.errors import ColumnTypeError
from dedup_lib.lists.shape import ListShape
from dedup_lib.lists.wanted import WantedList
from dedup_lib.settings import DuplicateIds
from dedup_lib.tables.id_types import can_hold_ids

ID_TYPES = (
    T.StringType(), T.ByteType(), T.ShortType(), T.IntegerType(), T.LongType(),
    T.DecimalType(18, 0), T.DecimalType(20, 0), T.BinaryType(),
)  # fmt: skip
OTHER_TYPES = (
    T.StringType("UNICODE_CI"), T.FloatType(), T.DoubleType(), T.DecimalType(20, 2),
    T.BooleanType(), T.DateType(), T.TimestampType(), T.TimestampNTZType(), T.NullType(),
    T.ArrayType(T.StringType()), T.MapType(T.StringType(), T.StringType()),
    T.StructType([T.StructField("id", T.StringType())]), T.DayTimeIntervalType(), T.VariantType(),
)  # fmt: skip


def check(image_type: T.DataType, id_type: T.DataType, keeper_type: T.DataType) -> None:
    fields = {"id": id_type, "max_id": keeper_type, "cosine_sim_score": T.FloatType()}
    schema = T.StructType([T.StructField(name, kind) for name, kind in fields.items()])
    wanted = WantedList("file:/list", DuplicateIds("file:/list"), image_type, eps=0.1)
    wanted.check_types(schema, ListShape("pairwise", "a producer", *fields))


def test_g2_these_types_can_hold_ids_and_no_others():
    assert all(can_hold_ids(kind.simpleString()) for kind in ID_TYPES)
    assert not any(can_hold_ids(kind.simpleString()) for kind in OTHER_TYPES)


@pytest.mark.parametrize("image_type", ID_TYPES, ids=T.DataType.simpleString)
def test_g2_ids_and_keepers_of_the_same_type_are_taken(image_type):
    check(image_type, image_type, image_type)


@pytest.mark.parametrize(
    ("image_type", "list_type"),
    [pair for pair in itertools.product(ID_TYPES, ID_TYPES + OTHER_TYPES) if pair[0] != pair[1]],
    ids=T.DataType.simpleString,
)
def test_g2_ids_or_keepers_of_another_type_are_refused(image_type, list_type):
    names = (list_type.simpleString(), image_type.simpleString())
    for column, types in (("id", (list_type, image_type)), ("max_id", (image_type, list_type))):
        with pytest.raises(ColumnTypeError) as refused:
            check(image_type, *types)
        for word in (*names, repr(column), "IDs are never cast"):
            assert word in str(refused.value)
