"""The types that image IDs may have, and IDs as people see them."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, DecimalType

# Decimals have no fraction. Strings have no collation.
_ID_TYPES = re.compile(r"string|tinyint|smallint|int|bigint|decimal\(\d+,0\)|binary")
# For messages.
TAKEN = "a string, an integer, a decimal without a fraction, or binary"
# An ID as people see it: binary IDs as hex digits or UUIDs.
ImageId = str | int
_UUID_PARTS = r"^(.{8})(.{4})(.{4})(.{4})(.{12})\z"


def can_hold_ids(spark_type: str) -> bool:
    """Tell whether image IDs may have a type, as Spark spells it."""
    return _ID_TYPES.fullmatch(spark_type) is not None


def as_text(value: Column, data_type: DataType, *, is_uuid: bool = False) -> Column:
    """Return IDs, or other values, as text that people can read: different texts for different IDs.

    Args:
        value: The column.
        data_type: Its type.
        is_uuid: Whether the bytes are UUIDs.

    Returns:
        Binary values as lower-case hex digits, or as UUIDs; others as Spark casts them to strings.
    """
    if not isinstance(data_type, BinaryType):
        return value.cast("string")
    digits = F.lower(F.hex(value))
    return F.regexp_replace(digits, _UUID_PARTS, "$1-$2-$3-$4-$5") if is_uuid else digits


def shown(image_id: Any, *, is_uuid: bool = False) -> Any:
    """Return a collected ID as people see it, an `ImageId`; None stays None.

    Args:
        image_id: The ID as Spark returns it.
        is_uuid: Whether binary IDs are UUIDs.
    """
    if isinstance(image_id, bytes | bytearray):
        is_uuid &= len(image_id) == 16
        return str(uuid.UUID(bytes=bytes(image_id))) if is_uuid else image_id.hex()
    return int(image_id) if isinstance(image_id, Decimal) else image_id


def stored(image_id: ImageId, data_type: DataType) -> Any:
    """Return an ID that people see as Spark takes it in a condition on a column of this type."""
    if isinstance(data_type, BinaryType):
        return bytes.fromhex(str(image_id).replace("-", ""))
    return Decimal(image_id) if isinstance(data_type, DecimalType) else image_id
