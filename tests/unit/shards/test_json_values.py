"""Values of Arrow as JSON: nothing is lost, and every reader takes it."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest

from dedup_lib.executor.shards.packing.json_values import json_values

LAST = 253_402_300_799_999_999  # of the year 9999, in microseconds


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
        (pa.array([True, None]), [True, None]),
        (pa.array(["ä", None], pa.string_view()), ["ä", None]),
        (pa.array(["ä", None]).dictionary_encode(), ["ä", None]),
        (pa.array([0.1, float("nan"), None]), [0.1, "NaN", None]),
        (pa.array([float("inf"), -float("inf")]), ["Infinity", "-Infinity"]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array([Decimal("100"), Decimal("1.50")]), ["100.00", "1.50"]),
        (pa.array([1], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001"]),
        (pa.array([0], pa.timestamp("s", "Asia/Tokyo")), ["1970-01-01T00:00:00Z"]),
        (pa.array([LAST, LAST + 1], pa.timestamp("us"))[:1], ["9999-12-31T23:59:59.999999"]),
        (pa.array([LAST, LAST + 1], pa.timestamp("us"))[1:], [LAST + 1]),
        (pa.array([-719_162, -719_163], pa.date32()), ["0001-01-01", -719_163]),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([b"\xff\x00", None], pa.binary(2)), ["ff00", None]),
        (pa.array([b"\x01" * 16], pa.uuid()), ["01010101-0101-0101-0101-010101010101"]),
        (pa.array([[1, None], None]), [[1, None], None]),
        (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), [[1, 2]]),
        (pa.array([{"a": {"b": 1}}, None]), [{"a": {"b": 1}}, None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())), [{"k": 1}, None]),
        (pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())), [[[1, 2]]]),
        (pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int8())), [[["k", 1], ["k", 2]]]),
        (pa.nulls(1), [None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_value_stays_itself(array, expected):
    assert json_values(array) == expected
    assert json.loads(json.dumps(json_values(array), allow_nan=False)) == expected


def test_bytes_that_are_uuids_have_their_usual_form():
    array = pa.array([b"\x01" * 16, None], pa.binary(16))
    assert json_values(array, is_uuid=True) == ["01010101-0101-0101-0101-010101010101", None]
