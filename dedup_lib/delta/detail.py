"""Find a Delta table by path or catalog name, its directory and its version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import Row, SparkSession

from dedup_lib.errors import InputError, SettingsError, TableFormatError
from dedup_lib.locations import is_path
from dedup_lib.session.no_table import no_table
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import get_setting
from dedup_lib.session.sql_names import name_parts, quoted, sql_name
from dedup_lib.session.storage import Storage
from dedup_lib.tables.target import UNKNOWN_SCHEME

_SNAPSHOT_PARTITIONS = "spark.databricks.delta.snapshotPartitions"
_MOST_PARENTS = 2  # a catalog and a schema
_LOG_BYTES_PER_PARTITION = 4 * 1024**2
# An entry of a data file has its statistics, and a file that loses rows has two more entries.
_LOG_BYTES_PER_FILE = 2048
# Spark's own catalog gets a name if its first part is no catalog.
_NO_SUCH_CATALOG = "REQUIRES_SINGLE_PART_NAMESPACE"
_MOST_PARTS = 3  # a catalog, a schema and a table
_NO_TABLE = ("NOT_FOUND", "PATH", "MISSING", _NO_SUCH_CATALOG)
_WRITE_ANEW = "read it with Spark, write it as Parquet or Delta, and give that copy."


def delta_root(session: Session, location: str) -> str:
    """Return the canonical URI of a Delta table's directory.

    Raises:
        TableNotFoundError: There is no table of that name.
        TableFormatError: It is a view, or not a Delta table.
    """
    return root_in(session.storage, delta_detail(session.spark, location))


def root_in(storage: Storage, detail: Row) -> str:
    """Return the canonical URI of the directory in a table's detail.

    Over Connect, a location in a store stays as the catalog spells it. To make it canonical, the
    session would have to read there, and catalogs that control access (Unity) allow reads only by
    the table's name.
    """
    location = unquote(detail["location"])
    is_in_store = re.match(r"[a-z0-9]+://[^/]", location) is not None
    if storage.is_remote and is_in_store:
        return location.rstrip("/")
    return storage.canonical(location)


def delta_detail(spark: SparkSession, location: str) -> Row:
    """Return Delta's details of a table, such as `location` and `partitionColumns`.

    Raises:
        TableNotFoundError: There is no table of that name.
        TableFormatError: It is a view, or not a Delta table.
    """
    if not is_path(location) and len(name_parts(location)) > _MOST_PARTS:
        raise no_table(spark, location)
    try:
        detail = spark.sql(f"DESCRIBE DETAIL {sql_name(location)}").collect()[0]
    except AnalysisException as error:
        raise _no_delta_table(spark, location, error) from error
    if (found := detail["format"]) != "delta":
        is_parquet = found == "parquet"
        advice = "give the path of its directory instead." if is_parquet else _WRITE_ANEW
        raise TableFormatError(f"table {location!r} is {found}, not Delta: {advice}")
    return detail


def delta_version(spark: SparkSession, location: str) -> int:
    """Return the newest version of a Delta table."""
    history = spark.sql(f"DESCRIBE HISTORY {sql_name(location)} LIMIT 1")
    return int(history.select("version").collect()[0]["version"])


def table_exists(spark: SparkSession, name: str) -> bool:
    """Tell whether the catalog has a table or view of that name."""
    try:
        return spark.catalog.tableExists(sql_name(name))
    except AnalysisException as error:
        if error.getCondition() == _NO_SUCH_CATALOG:
            return False
        raise


def new_table_root(session: Session, name: str) -> str:
    """Return the canonical URI of the directory that the catalog would give a new table.

    If the catalog does not reveal it (Unity), return a URI made from the name, which no file can
    have.
    """
    *schema, table = name_parts(name)
    if len(schema) > _MOST_PARENTS:
        raise SettingsError(
            f"{name!r} is not the name of a Delta table, which has one to three parts; and the "
            f"session has no Iceberg catalog {schema[0]!r}."
        )
    quoted_schema = ".".join(map(quoted, schema or [session.spark.catalog.currentDatabase()]))
    described = session.spark.sql(f"DESCRIBE SCHEMA {quoted_schema}")
    rows = {row[0]: row[1] for row in described.collect()}
    if not rows.get("Location"):
        return "/".join([f"{UNKNOWN_SCHEME}:", *map(str.lower, [*schema, table])])
    return f"{session.storage.canonical(rows['Location'])}/{table.lower()}"


def log_settings(spark: SparkSession, log_bytes: Iterable[int], num_files: int) -> dict[str, str]:
    """Return session settings that let Delta read logs in as few tasks as the largest needs.

    Delta's default is 50 tasks for each state of each table. For a small log, they cost more than
    the deletion. A value that the session sets takes precedence.

    Args:
        spark: The session.
        log_bytes: The size of each log. It is not asked for if the session has a value.
        num_files: The files of a table that the run makes.
    """
    if get_setting(spark, _SNAPSHOT_PARTITIONS) is not None:
        return {}
    largest = max([*log_bytes, num_files * _LOG_BYTES_PER_FILE])
    if not largest:
        return {}
    return {_SNAPSHOT_PARTITIONS: str(min(50, 2 + largest // _LOG_BYTES_PER_PARTITION))}


def is_delta_path(storage: Storage, location: str) -> bool:
    """Tell whether there is a Delta table at a canonical path."""
    return storage.is_directory(f"{location}/_delta_log")


def _no_delta_table(spark: SparkSession, location: str, error: AnalysisException) -> InputError:
    condition = error.getCondition() or ""
    if condition == "DELTA_OPERATION_MISSING_PATH":  # Delta's error for another catalog's table
        return TableFormatError(
            f"table {location!r} is not a Delta table, but one of another format, such as "
            f"Iceberg: {_WRITE_ANEW}"
        )
    if any(word in condition for word in _NO_TABLE):
        return no_table(spark, location)
    reason = str(error).splitlines()[0]
    return TableFormatError(f"table {location!r} can't be read as Delta: {reason}")
