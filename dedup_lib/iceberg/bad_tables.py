"""Say why a name can't be read as an Iceberg table, or no table be written."""

from __future__ import annotations

import re

from pyspark.sql import SparkSession

from dedup_lib.errors import (
    ColumnTypeError,
    DedupError,
    InputError,
    TableFormatError,
    UnsupportedError,
)
from dedup_lib.iceberg.metadata_file import read_fields, unread_columns
from dedup_lib.session.failures import find_catalog_failure, first_line
from dedup_lib.session.no_table import no_table
from dedup_lib.session.spark_session import get_setting
from dedup_lib.session.sql_names import name_parts
from dedup_lib.session.start import EXTENSIONS, ICEBERG_EXTENSION

_RUNTIME = "org.apache.iceberg:iceberg-spark-runtime-{}_2.13:1.11.0"
_VERSIONS_WITH_RUNTIME = ("4.0", "4.1")
# Why rows of a table may have no ID, for messages.
WHY_NO_IDS = (
    "In an Iceberg table, a column that was dropped and added again is NULL in older files; so is "
    "a column of files that add_files took in, if they spell its name otherwise, even if only "
    "upper and lower case differ"
)
_NO_CLASS = re.compile(r"Cannot find catalog plugin class for catalog '(.+?)': ([\w.$]+)")
_UNREAD_TYPE = re.compile(r"Spark does not support \w+ fields|unsupported type to Spark: \w+")
_RESERVED = re.compile(r"names reserved for Iceberg metadata columns: \[(.+?)\]")
# As a JDBC catalog says it of a missing table, which may be a view: its default can't hold views.
_NO_VIEWS = "JDBC catalog is initialized without view support"
_MISSING = ("NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")


def get_runtime(spark_version: str) -> str:
    """Return advice that names Maven's coordinates of the runtime for a version of Spark."""
    minor = ".".join(spark_version.split(".")[:2])
    if minor in _VERSIONS_WITH_RUNTIME:
        return f"start Spark with --packages {_RUNTIME.format(minor)}"
    return (
        f"this job was not tested with one for Spark {minor}. It is needed, or Spark "
        f"{_VERSIONS_WITH_RUNTIME[0]} with --packages {_RUNTIME.format(_VERSIONS_WITH_RUNTIME[0])}"
    )


def check_extensions(spark: SparkSession) -> None:
    """Check that the session can make branches.

    Raises:
        UnsupportedError: It lacks Iceberg's SQL extensions.
    """
    if ICEBERG_EXTENSION not in (get_setting(spark, EXTENSIONS) or ""):
        raise UnsupportedError(
            "the session lacks Iceberg's SQL extensions, which branches need. Start it with "
            f"{EXTENSIONS}={ICEBERG_EXTENSION} (beside others, with a comma). If it also lacks "
            f"Iceberg's jar: {get_runtime(spark.version)}."
        )


def is_of_iceberg(error: Exception) -> bool:
    """Tell whether an error on a look at a table says that it is Iceberg's, or would be."""
    text = str(error)
    missing = _NO_CLASS.search(text)
    if missing is not None:
        return missing[2].startswith("org.apache.iceberg.")
    return any(words.search(text) is not None for words in (_UNREAD_TYPE, _RESERVED))


def why_unread(spark: SparkSession, name: str, table: str, error: Exception) -> DedupError:
    """Return this library's error for an error of Spark on a look at a table.

    Args:
        spark: The session.
        name: The name as the user gave it.
        table: The table's name for SQL, without a branch or tag.
        error: What Spark or Iceberg said.
    """
    text = str(error)
    if (failed := _why_no_catalog(spark, name, table, text)) is not None:
        return failed
    condition = str(getattr(error, "getCondition", lambda: None)() or "")
    if any(part in condition for part in _MISSING) or _NO_VIEWS in text:
        return no_table(spark, name)
    if "unsupported version" in text:
        return UnsupportedError(
            f"table {name!r} has a format version that this Iceberg can't read or write: use a "
            f"newer one. {first_line(error)}"
        )
    if (reserved := _RESERVED.search(text)) is not None:
        return UnsupportedError(
            f"table {name!r} has columns ({reserved[1]}), which hide Iceberg's own columns of the "
            "same names: rename them."
        )
    if _UNREAD_TYPE.search(text) is not None:
        columns = unread_columns(read_fields(spark, table) or ())
        named = ", ".join(f"{column!r} of type {kind}" for column, kind in columns)
        return ColumnTypeError(
            f"table {name!r} can't be read: Spark has no type for its column "
            f"{named or 'of another type'} ({first_line(error)}), and so refuses the whole table. "
            "Make a table without that column, or drop it, by a program that knows its type."
        )
    return TableFormatError(f"table {name!r} can't be read as Iceberg: {first_line(error)}")


def _why_no_catalog(spark: SparkSession, name: str, table: str, text: str) -> DedupError | None:
    """Return the error of a catalog that can't be used or does not answer; None for others."""
    if (missing := _NO_CLASS.search(text)) is not None:
        return UnsupportedError(
            f"table {name!r} can't be read: Spark has no class {missing[2]}, which is set for "
            f"catalog {missing[1]!r}. Iceberg's runtime is missing: "
            f"{get_runtime(spark.version)}."
        )
    if (failure := find_catalog_failure(text)) is not None:
        return InputError(
            f"catalog {name_parts(table)[0]!r} of table {name!r} can't be asked: {failure}. Check "
            f"its settings (spark.sql.catalog.{name_parts(table)[0]}.…), and that it is there."
        )
    return None
