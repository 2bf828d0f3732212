"""Find the images of a table for which a condition is true (--protect-where)."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from dedup_lib.errors import ColumnTypeError, MissingColumnError, SettingsError
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.sql_names import values_of
from dedup_lib.settings import Condition
from dedup_lib.settings.condition import Operand, OperandKind
from dedup_lib.tables.image_table import ImageTable

# What a column can be compared with, by its type. Columns of other types are refused: binary ones
# because planning never reads image bytes.
_KINDS: dict[type[DataType], OperandKind] = {
    StringType: "text",
    NumericType: "number",
    BooleanType: "boolean",
    DateType: "date",
    TimestampType: "timestamp",
    TimestampNTZType: "timestamp",
}
_FLAG = "one of these in --protect-where, and put single quotes around texts"


def check_condition(images: ImageTable, condition: Condition) -> None:
    """Check that a condition fits a table. Spark would cast values so that it does.

    Raises:
        MissingColumnError: The table has no such column (names are case-sensitive).
        ColumnTypeError: A column has a type that can't be compared, or two types differ.
        UnreadableFileError: Spark reads other values of a column than were written.
        SettingsError: Spark does not understand the condition.
    """
    what = f"image table {images.location!r}"
    for operands in condition.compared:
        _check_kinds(what, operands, images.frame.schema)
    for path in condition.paths:
        _kind_of_column(what, path, images.frame.schema)
        images.table_format.check_compared_column(images, path[0])
    try:
        marked(images, condition).schema  # noqa: B018  # this lets Spark parse it
    except SPARK_ERRORS as error:
        raise SettingsError(
            f"--protect-where: Spark does not understand it: {first_line(error)}"
        ) from error


def marked(images: ImageTable, condition: Condition, columns: Sequence[Column] = ()) -> DataFrame:
    """Mark the rows of a table, lazily: `image_id`, the given columns, and `is_protected`.

    *Nulls:* a condition that is NULL marks no row.
    *Cost:* a scan of the image IDs, the given columns and those of the condition.
    """
    operands = [
        _value_of(operand).alias(f"operand_{index}")
        for index, operand in enumerate(condition.operands)
    ]
    rows = images.compared.select(images.id, *columns, *operands)
    is_protected = F.coalesce(F.expr(condition.sql), F.lit(False)).alias("is_protected")
    return rows.select("*", is_protected).drop(*(f"operand_{n}" for n in range(len(operands))))


def protected_ids(images: ImageTable, condition: Condition) -> DataFrame:
    """Find the IDs with a row for which a condition is true, lazily: `image_id`, one row per ID."""
    rows = marked(images, condition).where("is_protected AND image_id IS NOT NULL")
    return rows.select("image_id").distinct()


def _value_of(operand: Operand) -> Column:
    return values_of(*operand.path) if operand.path else F.lit(operand.value)


def _check_kinds(what: str, operands: Sequence[Operand], schema: StructType) -> None:
    kinds = {
        _kind_of_column(what, operand.path, schema) if operand.path else operand.kind
        for operand in operands
    }
    if len(differing := sorted(kinds - {"NULL"})) > 1:
        named = ", ".join(repr(".".join(operand.path)) for operand in operands if operand.path)
        raise ColumnTypeError(
            f"{what}: --protect-where mixes a {' and a '.join(differing)} ({named or 'literals'}), "
            "and nothing is cast. Write texts as 'text', dates as DATE '2026-01-31', times as "
            "TIMESTAMP '2026-01-31 12:00:00', numbers and TRUE or FALSE without quotes."
        )


def _kind_of_column(what: str, path: Sequence[str], schema: StructType) -> OperandKind:
    field = _field_at(what, path, schema)
    declared = field.metadata.get("__CHAR_VARCHAR_TYPE_STRING", "")
    for data_type, kind in _KINDS.items():
        # Values of char(n) end in blanks, so they equal no literal.
        if isinstance(field.dataType, data_type) and not declared.startswith("char"):
            return kind
    raise ColumnTypeError(
        f"{what}: --protect-where can't compare column {'.'.join(path)!r}, which is "
        f"{declared or field.dataType.simpleString()}: it must be a number, string, date, time or "
        "boolean."
    )


def _field_at(what: str, path: Sequence[str], schema: StructType) -> StructField:
    """Return a column, or a nested field."""
    field, before = StructField("", schema), ""
    for name in path:
        fields = field.dataType if isinstance(field.dataType, StructType) else StructType()
        if name not in fields.names:
            known = [before + other for other in fields.names] or schema.names
            raise MissingColumnError.of(what, before + name, known, _FLAG)
        field, before = fields[name], f"{before}{name}."
    return field
