"""Values of table columns as JSON values, without a loss."""

from __future__ import annotations

import math
import uuid
from typing import Any

# The years 1 to 9999 since 1970, from the first number to the one after the last.
_DAYS = (-719_162, 2_932_897)
_PER_DAY = {"day": 1} | {
    unit: 86_400 * 1000**power for power, unit in enumerate(("s", "ms", "us", "ns"))
}
_YEARS = {unit: (_DAYS[0] * each, _DAYS[1] * each) for unit, each in _PER_DAY.items()}


def json_values(array: Any, *, is_uuid: bool = False) -> list[Any]:
    """Return the values of an Arrow array as JSON values, as `json_value` says.

    Args:
        array: The array.
        is_uuid: Whether the bytes are UUIDs: pyarrow before 21 does not say so.

    Raises:
        UnicodeDecodeError: A text is no UTF-8.
    """
    import pyarrow as pa

    of = array.type
    if pa.types.is_integer(of) or pa.types.is_boolean(of) or pa.types.is_string(of):
        return list(array.to_pylist())
    values = [json_value(scalar) for scalar in array]
    if is_uuid and pa.types.is_fixed_size_binary(of):
        return [None if digits is None else str(uuid.UUID(digits)) for digits in values]
    return values


def json_value(scalar: Any) -> Any:
    """Return an Arrow scalar as a value that JSON can hold.

    Returns:
        Integers, texts and booleans as they are; NULL as None. Floats are numbers; NaN and the
        infinities are texts, as JSON has no such numbers. Decimals are texts of their digits.
        Dates and times are ISO 8601; a timestamp with a time zone is UTC, and ends in `Z`. Bytes
        are hex digits, and UUIDs have their usual form. Structs, and maps with texts as keys, are
        objects; other maps are lists of pairs. A date before the year 1, or after 9999, is the
        number that Arrow has: ISO 8601 has no such years.

    Raises:
        UnicodeDecodeError: A text is no UTF-8.
    """
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    of = scalar.type
    if isinstance(of, pa.BaseExtensionType):
        value = json_value(scalar.value)
        return str(uuid.UUID(value)) if of.extension_name == "arrow.uuid" else value
    if pa.types.is_dictionary(of):
        return json_value(scalar.value)
    return _nested(scalar) if pa.types.is_nested(of) else _single(scalar)


def _nested(scalar: Any) -> Any:
    import pyarrow as pa

    of = scalar.type
    if pa.types.is_struct(of):
        return {of.field(index).name: json_value(scalar[index]) for index in range(of.num_fields)}
    if pa.types.is_map(of):
        return _json_map(scalar.values)
    return [json_value(one) for one in scalar.values]


def _single(scalar: Any) -> Any:
    import pyarrow as pa

    of = scalar.type
    if pa.types.is_temporal(of):
        return _iso_text(scalar)
    value = scalar.as_py()
    if pa.types.is_floating(of):
        return _json_float(float(value))
    if pa.types.is_decimal(of):
        return format(value, "f")
    return value.hex() if isinstance(value, bytes) else value


def _json_map(entries: Any) -> Any:
    """Return a map as an object; as pairs if a key is no text, or comes twice."""
    keys, values = ([json_value(one) for one in column] for column in entries.flatten())
    if all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys):
        return dict(zip(keys, values, strict=True))
    return [list(pair) for pair in zip(keys, values, strict=True)]


def _json_float(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _iso_text(scalar: Any) -> str | int:
    """Return a date or time by Arrow's own cast: Python's types have no nanoseconds."""
    import pyarrow as pa

    of = scalar.type
    if pa.types.is_timestamp(of) or pa.types.is_date32(of):
        first, end = _YEARS[of.unit if pa.types.is_timestamp(of) else "day"]
        if not first <= scalar.value < end:
            return int(scalar.value)
    if pa.types.is_timestamp(of) and of.tz is not None:
        scalar = scalar.cast(pa.timestamp(of.unit, "UTC"))
    return str(scalar.cast(pa.string()).as_py()).replace(" ", "T")
