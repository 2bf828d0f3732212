"""Check that Spark writes Parquet types and column names as it read them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dedup_lib.errors import ColumnTypeError
from dedup_lib.session.storage import Leaf, ParquetSchema
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.schema import hadoop_variable

# For each Parquet type of instants, the value of spark.sql.parquet.outputTimestampType.
_INSTANTS = {
    "INT96": "INT96",
    "TIMESTAMP(MICROS,true)": "TIMESTAMP_MICROS",
    "TIMESTAMP_MICROS": "TIMESTAMP_MICROS",
    "TIMESTAMP(MILLIS,true)": "TIMESTAMP_MILLIS",
    "TIMESTAMP_MILLIS": "TIMESTAMP_MILLIS",
}
_KEPT_LOGICAL = {
    *("STRING", "UTF8", "DATE", "TIMESTAMP(MICROS,false)"),
    *(f"INTEGER({bits},true)" for bits in (8, 16)),
    *(f"INT_{bits}" for bits in (8, 16, 32, 64)),
    *_INSTANTS,
}
# Spark reads and writes it as STRING, which has the same values. pyarrow can't write it either.
_ENUM = "ENUM"
_log = logging.getLogger(__name__)


def check_types_are_kept(images: PinnedTable) -> None:
    """Refuse Parquet types that Spark would write as other types, except ENUM.

    Raises:
        ColumnTypeError: A column has such a type.
    """
    for schema in images.file_schemas:
        for leaf in schema.leaves:
            if not _is_kept(leaf):
                raise ColumnTypeError(
                    f"image table {images.location!r}: column {leaf.dotted_path!r} has the Parquet "
                    f"type {leaf.logical or leaf.physical}, which Spark would write as another "
                    "type. Cast it where the table is made."
                )
    if len(_find_instants(images.file_schemas)) > 1:
        raise ColumnTypeError(
            f"image table {images.location!r} has timestamps of several Parquet types, which "
            "Spark would write as one type. Cast them where the table is made."
        )


def warn_of_enums(images: PinnedTable) -> None:
    """Log that Spark changes the type of columns, although their values stay."""
    leaves = (leaf for schema in images.file_schemas for leaf in schema.leaves)
    for column in sorted({leaf.dotted_path for leaf in leaves if leaf.logical == _ENUM}):
        _log.warning(
            "column %r has the Parquet type ENUM, which Spark writes as STRING: the values stay",
            column,
        )


def check_names_are_kept(images: PinnedTable) -> None:
    """Refuse column names of a Delta table that Spark would write to Parquet as other names.

    Raises:
        ColumnTypeError: Spark would change a name or a comment.
    """
    if (variable := hadoop_variable(images.frame.schema)) is not None:
        raise ColumnTypeError(
            f"image table {images.location!r}: a column's name or comment holds {variable!r}, "
            "which Spark would write to Parquet as another name. Rename it, or use "
            "--output-format delta."
        )


def timestamp_type(file_schemas: Sequence[ParquetSchema]) -> str:
    """Return the value of spark.sql.parquet.outputTimestampType that keeps the type of instants."""
    return next(iter(_find_instants(file_schemas)), "TIMESTAMP_MICROS")


def _find_instants(file_schemas: Sequence[ParquetSchema]) -> set[str]:
    kinds = {
        "INT96" if leaf.physical == "int96" else leaf.logical
        for schema in file_schemas
        for leaf in schema.leaves
    }
    return {_INSTANTS[kind] for kind in kinds if kind in _INSTANTS}


def _is_kept(leaf: Leaf) -> bool:
    is_decimal = leaf.logical is not None and leaf.logical.startswith("DECIMAL")
    if leaf.physical == "fixed_len_byte_array":
        return is_decimal
    return leaf.logical is None or is_decimal or leaf.logical in {_ENUM, *_KEPT_LOGICAL}
