"""Compare an ID scan with Delta's log, before Delta relies on that log to delete rows."""

from __future__ import annotations

import logging
import re

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from dedup_lib.delta.history import count_rows_at
from dedup_lib.delta.log import read_file_actions
from dedup_lib.errors import TableFormatError
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.pinned import PinnedTable

_ABSOLUTE = r"^[A-Za-z][A-Za-z0-9+.-]*:/"
_log = logging.getLogger(__name__)


def check_logged_rows(images: PinnedTable, counted: DataFrame) -> None:
    """Check that Delta's log has the same number of rows for each file as the scan found.

    If the log says that all rows of a file are deleted, Delta drops the whole file. Some writers
    log too few rows (trinodb/trino#30343): then Delta would drop rows that no list names.

    Args:
        images: The pinned Delta table.
        counted: The evaluated result of `plan.id_scan.rows_by_file`.

    Raises:
        TableFormatError: The log has another number; the message names the file and both numbers.

    *Nulls:* a file without statistics in the log is not compared.
    *Cost:* a shuffle of the log, with one row for each action; the driver gets one row.
    """
    found = _compare(images, counted)
    if found is None:
        _check_sum(images, counted)
    elif found["num_files"]:
        (path, scanned_rows, logged_rows), others = found["first"], found["num_files"] - 1
        more = f"; {others} other files also differ" if others else ""
        raise _refusal(images, f"file {path!r}", scanned_rows, logged_rows, more)


def check_active_once(images: PinnedTable, num_files: int) -> None:
    """Check that no file is in the table twice, with two deletion vectors.

    Its rows would be read twice, and each vector would give back what the other hides.

    Args:
        images: The pinned Delta table.
        num_files: The number of files that a scan found rows in.

    Raises:
        TableFormatError: A file is there twice; the message names it.

    *Cost:* nothing if the table has as many files as the scan found; otherwise a shuffle of the
    log. There may be files whose rows are all deleted.
    """
    if (images.detail["numFiles"] or 0) <= num_files:
        return
    spark = images.frame.sparkSession
    try:
        actions = read_file_actions(spark, images.detail["location"], images.version or 0)
        is_live = F.max_by("is_live", "action_order").alias("is_live")
        entries = actions.groupBy("path", "vector").agg(is_live).where("is_live")
        twice = entries.groupBy("path").count().where("count > 1").sort("path").head()
    except SPARK_ERRORS as error:
        reason = str(error).strip().partition("\n")[0]
        _log.warning("whether the log names a file twice can't be found out: %s", reason)
        return
    if twice is not None:
        raise TableFormatError(
            f"image table {images.location!r}: Delta's log has file {twice['path']!r} "
            f"{twice['count']} times, with different deletion vectors. Each row would be read "
            "several times, and deleted rows would come back. Some program did not remove the "
            f"older entry: RESTORE TABLE {sql_name(images.location)} to a version before that, or "
            "write the table anew."
        )


def _compare(images: PinnedTable, counted: DataFrame) -> Row | None:
    """Compare file by file; None if the log can't be read, or spells paths in an unknown way."""
    spark = images.frame.sparkSession
    root = images.detail["location"]
    try:
        logged = read_file_actions(spark, root, images.version or 0)
        found = _differences(logged, counted, root)
    except SPARK_ERRORS as error:
        reason = str(error).strip().partition("\n")[0]
    else:
        if not found["num_unknown"]:
            return found
        reason = f"it does not name {found['num_unknown']} of the files that were read"
    _log.warning(
        "the log of %r can't be compared file by file; only the sum of its rows is compared: %s",
        images.location,
        reason,
    )
    return None


def _differences(logged: DataFrame, counted: DataFrame, root: str) -> Row:
    """Return how many files differ, the first of them, and how many files the log does not name."""
    actions = logged.select(
        _location(F.col("path"), root).alias("path"),
        "action_order",
        F.struct("is_live", "num_rows").alias("file"),
    )
    scanned = counted.select(
        _location(F.col("file_path"), root).alias("path"),
        F.col("num_rows").alias("scanned_rows"),
    )
    by_file = actions.unionByName(scanned, allowMissingColumns=True).groupBy("path")
    files = by_file.agg(
        F.max_by("file", "action_order").alias("file"),
        F.sum("scanned_rows").alias("scanned_rows"),
    ).select(
        "path",
        "scanned_rows",
        F.coalesce("file.is_live", F.lit(False)).alias("is_live"),
        F.col("file.num_rows").alias("logged_rows"),
    )
    found_rows = F.coalesce("scanned_rows", F.lit(0))
    differs = F.col("is_live") & (F.col("logged_rows") != found_rows)
    shown = F.struct("path", found_rows.alias("scanned_rows"), "logged_rows")
    is_unknown = ~F.col("is_live") & F.col("scanned_rows").isNotNull()
    return files.agg(
        F.count_if(differs).alias("num_files"),
        F.min(F.when(differs, shown)).alias("first"),
        F.count_if(is_unknown).alias("num_unknown"),
    ).collect()[0]


def _check_sum(images: PinnedTable, counted: DataFrame) -> None:
    """Compare the total: Delta itself counts it, from its log if all files have statistics."""
    scanned_rows = counted.agg(F.coalesce(F.sum("num_rows"), F.lit(0))).collect()[0][0]
    spark, version = images.frame.sparkSession, images.version or 0
    logged_rows = count_rows_at(spark, images.location, version)
    if logged_rows != scanned_rows:
        raise _refusal(images, "the table", scanned_rows, logged_rows, "")


def _refusal(
    images: PinnedTable, what: str, scanned_rows: int, logged_rows: int, more: str
) -> TableFormatError:
    return TableFormatError(
        f"image table {images.location!r}: {what} has {scanned_rows} rows when it is read, but "
        f"Delta's log says {logged_rows} (numRecords minus the rows that the deletion vector "
        f"hides, in version {images.version}){more}. Delta deletes by its log, and could drop a "
        "file with rows that must stay: nothing was deleted. Use --method rewrite, which does not "
        "use these counts. Or run again after REORG TABLE "
        f"{sql_name(images.location)} APPLY (PURGE), which rewrites the files that have deletion "
        "vectors, and counts their rows anew; it leaves other files as they are."
    )


def _location(path: Column, root: str) -> Column:
    """Turn the URI of a file in a log or `_metadata` into a path, as `locations.decode_path`."""
    text = F.coalesce(F.try_url_decode(F.replace(path, F.lit("+"), F.lit("%2B"))), path)
    origin = re.match(r"(?:[^/]*:(?://[^/]*)?)?", root)
    store = F.lit("" if origin is None else origin[0])
    absolute = (
        F.when(path.rlike(_ABSOLUTE), text)
        .when(path.startswith("/"), F.concat(store, text))
        .otherwise(F.concat(F.lit(f"{root.rstrip('/')}/"), text))
    )
    return F.regexp_replace(absolute, "^file:/+", "file:/")
