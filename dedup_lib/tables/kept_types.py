"""Check that Spark writes Parquet types and column names as it read them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.sql import functions as F

from dedup_lib.errors import ColumnTypeError, UnreadableFileError
from dedup_lib.executor.writer_options import has_nanoseconds
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.on_executors import on_executors
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import literal_rows
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
_MOST_TASKS = 500
_NO_PYARROW = "No module named 'pyarrow'"
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


def check_instants_are_kept(session: Session, images: PinnedTable) -> None:
    """Refuse INT96 timestamps with nanoseconds, which Spark would cut off.

    If executors lack pyarrow, log that this could not be checked. Files that Spark wrote have no
    nanoseconds. The files of a Delta table are not checked.

    Raises:
        ColumnTypeError: A file has nanoseconds.
        UnreadableFileError: A task failed.

    *Cost:* executors read the INT96 columns of the files; nothing if no file has such columns.
    """
    has_int96 = (leaf.physical == "int96" for one in images.file_schemas for leaf in one.leaves)
    if not any(has_int96):
        return
    options = dict(session.storage.pyarrow_options)
    call = on_executors(lambda source: has_nanoseconds(source, options), "boolean")
    rows = [{"source": file.path} for file in images.files]
    frame = literal_rows(session.spark, rows, "source string")
    frame = frame.repartition(min(len(rows), _MOST_TASKS)).where(call("source"))
    try:
        found = frame.agg(F.min("source").alias("source")).collect()[0]["source"]
    except SPARK_ERRORS as failure:
        if _NO_PYARROW not in str(failure):
            raise UnreadableFileError(
                f"image table {images.location!r}: INT96 timestamps can't be read, to look for "
                f"nanoseconds, which Spark would cut off: {find_task_failure(failure)} Run again, "
                "or use --engine arrow."
            ) from failure
        _log.warning(
            "INT96 timestamps could not be checked for nanoseconds, which Spark cuts off: %s",
            find_task_failure(failure),
        )
        return
    if found is not None:
        raise ColumnTypeError(
            f"image table {images.location!r}: INT96 timestamps of file {found!r} "
            "have nanoseconds, which Spark would cut off. Use --engine arrow, or write them in "
            "microseconds where the table is made."
        )


def check_lists_are_kept(images: PinnedTable) -> None:
    """Refuse lists where DuckDB stored values for a NULL: Spark gives them to rows after it.

    Raises:
        ColumnTypeError: A column has such lists.
    """
    if images.id_table is not None and (column := images.id_table.facts.misread) is not None:
        raise ColumnTypeError(
            f"image table {images.location!r}: DuckDB stored values for a NULL in column "
            f"{column!r}, and Spark would give them to other rows. Cast its ARRAY to a list where "
            "the table is made."
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
