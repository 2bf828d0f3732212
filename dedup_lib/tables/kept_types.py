"""Which of Parquet's types Spark writes back as they were."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dedup_lib.errors import ColumnTypeError
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.schema import hadoop_variable, leaves

_KEPT_LOGICAL = re.compile(
    r"STRING|UTF8|DATE|DECIMAL(\(.*\))?|INTEGER\((8|16|32|64),true\)|INT_(8|16|32|64)"
    r"|TIMESTAMP\(MICROS,(true|false)\)|TIMESTAMP\(MILLIS,true\)|TIMESTAMP_MI(CRO|LLI)S"
)
# A Parquet type of instants, and the value of spark.sql.parquet.outputTimestampType for it.
_INSTANTS = {
    "INT96": "INT96",
    "TIMESTAMP(MICROS,true)": "TIMESTAMP_MICROS",
    "TIMESTAMP_MICROS": "TIMESTAMP_MICROS",
    "TIMESTAMP(MILLIS,true)": "TIMESTAMP_MILLIS",
    "TIMESTAMP_MILLIS": "TIMESTAMP_MILLIS",
}


def check_types_are_kept(images: PinnedTable) -> None:
    """Refuse Parquet types that Spark would change on the way from file to file.

    Raises:
        ColumnTypeError: A column has such a type.
    """
    for schema in images.file_schemas:
        for path, physical, logical in leaves(schema):
            kind = logical or physical
            if not _is_kept(physical, logical):
                raise ColumnTypeError(
                    f"image table {images.location!r}: column {path!r} has the Parquet "
                    f"type {kind}, which Spark would write back as another one. Cast it where "
                    "the table is made."
                )
    if len(_instants(images.file_schemas)) > 1:
        raise ColumnTypeError(
            f"image table {images.location!r} has timestamps of several Parquet types, which "
            "Spark would write back as one. Cast them where the table is made."
        )


def check_names_are_kept(images: PinnedTable) -> None:
    """Refuse column names of a Delta table that Spark would write to Parquet as other ones.

    Raises:
        ColumnTypeError: A name, or a comment, is one.
    """
    if (variable := hadoop_variable(images.frame.schema)) is not None:
        raise ColumnTypeError(
            f"image table {images.location!r}: a column's name or comment holds {variable!r}, "
            "which Spark would write to Parquet as another name. Rename it, or use "
            "--output-format delta."
        )


def timestamp_type(file_schemas: Sequence[str]) -> str:
    """Return the value of spark.sql.parquet.outputTimestampType for schemas' instants."""
    return next(iter(_instants(file_schemas)), "TIMESTAMP_MICROS")


def _instants(file_schemas: Sequence[str]) -> set[str]:
    found = set()
    for schema in file_schemas:
        for _, physical, logical in leaves(schema):
            kind = "INT96" if physical == "int96" else logical
            if kind in _INSTANTS:
                found.add(_INSTANTS[kind])
    return found


def _is_kept(physical: str, logical: str | None) -> bool:
    if physical == "fixed_len_byte_array":
        return logical is not None and logical.startswith("DECIMAL")
    return logical is None or _KEPT_LOGICAL.fullmatch(logical) is not None
