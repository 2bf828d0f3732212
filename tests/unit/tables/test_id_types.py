"""IDs as people see them: readable, and the same bytes and digits when they come back."""

import uuid
from decimal import Decimal

import pytest
from pyspark.sql import types as T

from dedup_lib.session.storage import Leaf, ParquetSchema
from dedup_lib.tables.id_types import shown, stored
from dedup_lib.tables.schema import simple_columns

UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("collected", "kind", "text"),
    [
        ("007", T.StringType(), "007"),
        (7, T.LongType(), 7),
        (Decimal(2**64 - 1), T.DecimalType(20, 0), 2**64 - 1),
        (b"", T.BinaryType(), ""),
        (bytearray(b"\0\xff"), T.BinaryType(), "00ff"),
        (UUID.bytes, T.BinaryType(), UUID.hex),
    ],
)
def test_an_id_is_shown_and_comes_back(collected, kind, text):
    assert shown(collected) == text
    assert type(shown(collected)) in (str, int)
    assert stored(text, kind) == collected


def test_a_uuid_is_shown_as_one():
    assert shown(bytearray(UUID.bytes), is_uuid=True) == str(UUID)
    assert stored(str(UUID), T.BinaryType()) == UUID.bytes
    assert shown(None, is_uuid=True) is None


def test_spark_is_told_the_types_of_a_file_that_it_can_not_read_by_itself():
    """Unsigned integers as the wider types that Spark takes; what it can't take is left out."""
    types = {
        ("fixed_len_byte_array", "UUID"): T.BinaryType(),
        ("binary", None): T.BinaryType(),
        ("int32", "INTEGER(8,true)"): T.ByteType(),
        ("int32", "INTEGER(8,false)"): T.ShortType(),
        ("int32", "INTEGER(32,false)"): T.LongType(),
        ("int64", "INTEGER(64,false)"): T.DecimalType(20, 0),
        ("fixed_len_byte_array", "DECIMAL(38,0)"): T.DecimalType(38, 0),
        ("binary", "DECIMAL(50,0)"): None,
        ("int64", "TIMESTAMP(NANOS,true)"): None,
    }
    leaves = [Leaf((str(n),), "optional", *of) for n, of in enumerate(types)]
    leaves.append(Leaf(("list",), "repeated", "int32", None))
    found = simple_columns(ParquetSchema("", tuple(leaves)))
    assert [field.dataType for field in found] == [of for of in types.values() if of is not None]
