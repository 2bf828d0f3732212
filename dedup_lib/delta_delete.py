"""Delta without touching an image: shallow clones, and rows deleted by deletion vectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.delta_history import USER_METADATA, note_text
from dedup_lib.delta_tables import delta_detail
from dedup_lib.errors import (
    ConflictError,
    DedupError,
    InputChangedError,
    UnsupportedError,
)
from dedup_lib.id_scan import SCAN_SETTINGS
from dedup_lib.one_row import one_row
from dedup_lib.session_settings import session_settings
from dedup_lib.spark_errors import SPARK_ERRORS
from dedup_lib.sql_names import quoted, sql_name, values_of
from dedup_lib.tables import PinnedTable

DELETION_VECTORS = "delta.enableDeletionVectors"
_DELETE_SETTINGS = {
    # Delta has EXISTS in DELETE from 4.3 on, behind this; without it DELETE is refused.
    "spark.databricks.delta.delete.allowExistsSubquery": "true",
    "spark.databricks.delta.delete.deletionVectors.persistent": "true",
    "spark.databricks.delta.merge.deletionVectors.persistent": "true",
    # A table may ask for a compaction after each commit: that would rewrite images.
    "spark.databricks.delta.autoCompact.enabled": "false",
}
_PARTITIONED_SOURCE_SETTINGS = {
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # 007 stays 007
    "spark.databricks.delta.convert.useCatalogPartitions": "false",
}
# Features of a place rather than of the data: a clone never has them from its source.
_NOT_CLONED = {"catalogManaged", "catalogOwned-preview", "coordinatedCommits-preview"}
_CONFLICT = re.compile(
    r"DELTA_CONCURRENT_|DELTA_(METADATA|PROTOCOL)_CHANGED|Concurrent\w*Exception"
)
_GLOB = re.compile(r"[\[\]{}*?\\]")


@dataclass(frozen=True)
class Purge:
    """What a purge rewrote.

    Attributes:
        removed_files: Data files that the table no longer refers to.
        added_files: Data files that take their place.
        removed_bytes: The size of the former.
        added_bytes: The size of the latter.
        vacuum: The statement that deletes the former; None where they are another table's.
        vacuum_after: From when on, in UTC.
    """

    removed_files: int
    added_files: int
    removed_bytes: int
    added_bytes: int
    vacuum: str | None = None
    vacuum_after: str | None = None


def check_deletes(spark: SparkSession, location: str, *, must_be_allowed: bool) -> None:
    """Check that rows of a Delta table can be deleted by this Spark; nothing is written.

    Args:
        spark: The session.
        location: The table's path or catalog name.
        must_be_allowed: Whether the deletion is to happen in this very table; else refusals
            for want of a privilege are no matter.

    Raises:
        UnsupportedError: The table is append-only, or its protocol has a feature that this
            Delta can't write.
    """
    try:
        spark.sql(f"DELETE FROM {sql_name(location)} WHERE false").collect()
    except SPARK_ERRORS as error:
        if (refusal := _refusal(location, error)) is not None:
            raise refusal from error
        if must_be_allowed:
            raise UnsupportedError(
                f"rows of {location!r} can't be deleted: {first_line(error)}"
            ) from error


def has_deletion_vectors(spark: SparkSession, location: str) -> bool:
    """Tell whether deletes in a Delta table write deletion vectors."""
    properties = delta_detail(spark, location)["properties"]
    return bool(properties.get(DELETION_VECTORS) == "true")


def enable_deletion_vectors(spark: SparkSession, location: str) -> None:
    """Let deletes in a Delta table write deletion vectors; this raises its protocol, for good."""
    with deletions_named(location):
        spark.sql(
            f"ALTER TABLE {sql_name(location)} SET TBLPROPERTIES ('{DELETION_VECTORS}' = 'true')"
        )


def check_clonable(images: PinnedTable) -> None:
    """Check that Delta can clone a table of this layout, as far as its path tells.

    Raises:
        UnsupportedError: It can't.
    """
    if images.format == "delta":
        return
    advice = "Use --method rewrite, or rename it."
    path = images.root.partition(":")[2]
    if len(images.files) == 1 and images.files[0].path == images.root:
        raise UnsupportedError(
            f"image table {images.location!r} is one file: Delta clones directories. "
            "Use --method rewrite, or give its directory."
        )
    if _GLOB.search(path):
        raise UnsupportedError(
            f"image table {images.location!r}: Delta would take the path for a pattern. {advice}"
        )
    if images.partition_columns and quote(path, safe="/:@!$&'()+,;=~-._") != path:
        raise UnsupportedError(
            f"image table {images.location!r}: Delta can't clone a partitioned Parquet directory "
            f"whose path has spaces or other characters that URIs escape. {advice}"
        )


def clone(spark: SparkSession, images: PinnedTable, location: str, *, name: str) -> None:
    """Make a Delta table that refers to the data files of another one, or of Parquet files.

    Args:
        spark: The session.
        images: The source, at its pinned version.
        location: The path of the new table, which has deletion vectors on.
        name: Of a catalog table that a partitioned Parquet source needs for the time of this.

    Raises:
        UnsupportedError: Delta refused, or would drop a feature of the source.
        InputChangedError: The source's files are no longer those that were pinned.

    *Cost:* Delta: its log. Parquet: the footers, too. No data is copied.
    """
    try:
        with _clone_source(spark, images, name) as source:
            row = spark.sql(
                f"CREATE TABLE {sql_name(location)} SHALLOW CLONE {source} "
                f"TBLPROPERTIES ('{DELETION_VECTORS}' = 'true')"
            ).collect()[0]
    except SPARK_ERRORS as error:
        raise UnsupportedError(
            f"image table {images.location!r} can't be cloned: {first_line(error)} "
            "Use --method rewrite."
        ) from error
    if images.format == "delta":
        _check_features_kept(spark, images.location, location)
        return
    pinned = (len(images.files), sum(file.size_bytes for file in images.files))
    if (row["source_num_of_files"], row["source_table_size"]) != pinned:
        raise InputChangedError(
            f"image table {images.location!r} has other files than when the run began. "
            "Run again when no one writes there."
        )


def delete_ids(
    spark: SparkSession,
    location: str,
    image_id_column: str,
    removed_ids: DataFrame,
    *,
    view: str,
    settings: Mapping[str, str],
    image_settings: Callable[[], Mapping[str, str]],
) -> int | None:
    """Delete the rows of a Delta table whose ID is among some IDs, in one commit.

    Args:
        spark: The session.
        location: The table, with deletion vectors on.
        image_id_column: Its ID column.
        removed_ids: One row per ID, `image_id`, of the same type.
        view: A free name for a temporary view.
        settings: Session settings for the statement.
        image_settings: Works out more of them for a statement that reads images.

    Returns:
        The number of rows that were deleted; None where Delta skipped the commit, since one
        with the same transaction ID is in the table.

    Raises:
        ConflictError: Another writer's commit came between.

    *Nulls:* rows with a NULL ID stay.
    *Cost:* one scan of the IDs. Delta below 4.3, which has no EXISTS in DELETE, reads every
    column of the files that lose rows (MERGE), but writes no more.
    """
    table, column = sql_name(location), f"images.{quoted(image_id_column)}"
    same = f"removed.image_id = coalesce({column}, {column})"  # as `values_of`
    delete = (
        f"DELETE FROM {table} AS images WHERE EXISTS (SELECT 1 FROM {view} AS removed WHERE {same})"
    )
    merge = (
        f"MERGE INTO {table} AS images USING {view} AS removed ON {same} WHEN MATCHED THEN DELETE"
    )
    removed_ids.createOrReplaceTempView(view)
    try:
        with (
            session_settings(spark, {**_DELETE_SETTINGS, **SCAN_SETTINGS, **settings}),
            deletions_named(location),
        ):
            try:
                rows = spark.sql(delete).collect()
            except AnalysisException as error:
                if "SUBQUERY" not in (error.getCondition() or ""):
                    raise
                with session_settings(spark, image_settings()):
                    rows = spark.sql(merge).collect()
    finally:
        spark.catalog.dropTempView(view)
    return int(rows[0]["num_affected_rows"]) if rows else None


def transaction(note: Mapping[str, Any], run_key: str | None) -> dict[str, str]:
    """Return the session settings that mark a commit: a note and, with a key, a transaction ID.

    Delta skips a statement whose transaction ID is in the table already.
    """
    settings = {USER_METADATA: note_text(note)}
    if run_key is not None:
        spelled = run_key.replace("${", "$\\{")  # which Spark would replace
        settings |= {
            "spark.databricks.delta.write.txnAppId": f"remove-duplicates:{spelled}",
            "spark.databricks.delta.write.txnVersion": "1",
        }
    return settings


def count_ids(
    spark: SparkSession, location: str, version: int, image_id_column: str, removed_ids: DataFrame
) -> int:
    """Count the rows of a version of a Delta table whose ID is among some IDs.

    *Cost:* one scan of the IDs.
    """
    frame = spark.sql(f"SELECT * FROM {sql_name(location)} VERSION AS OF {version}")
    ids = frame.select(values_of(image_id_column).alias("image_id"))
    return ids.join(removed_ids, "image_id", "left_semi").count()


def purge(spark: SparkSession, location: str, note: Mapping[str, Any]) -> Purge:
    """Rewrite the files of a Delta table that have deletion vectors, without the hidden rows.

    The files before stay on disk until a VACUUM, which is not run.

    Raises:
        ConflictError: Another writer's commit came between.
    """
    settings = {USER_METADATA: note_text(note)}
    with session_settings(spark, settings), deletions_named(location):
        rows = spark.sql(f"REORG TABLE {sql_name(location)} APPLY (PURGE)").collect()
    metrics = rows[0]["metrics"]
    removed, added = metrics["filesRemoved"], metrics["filesAdded"]
    return Purge(
        removed_files=metrics["numFilesRemoved"],
        added_files=metrics["numFilesAdded"],
        removed_bytes=removed["totalSize"],
        added_bytes=added["totalSize"],
    )


def vacuum_time(spark: SparkSession, location: str) -> str | None:
    """Return the time, in UTC, from which on VACUUM deletes what a table no longer refers to.

    None where the table's retention can't be read: that is no reason for a run to fail.
    """
    properties = delta_detail(spark, location)["properties"]
    retention = properties.get("delta.deletedFileRetentionDuration", "interval 1 week")
    interval = "interval " + retention.lower().removeprefix("interval ")
    time = F.current_timestamp() + F.lit(interval).cast("interval")
    in_utc = F.to_utc_timestamp(time, F.current_timezone())
    spelled = F.date_format(in_utc, "yyyy-MM-dd'T'HH:mm:ss'Z'")
    try:
        text = one_row(spark).select(spelled).collect()[0][0]
        return None if text is None else str(text)
    except PySparkException:
        return None


@contextmanager
def deletions_named(location: str) -> Iterator[None]:
    """Turn Delta's refusals into this library's errors."""
    try:
        yield
    except SPARK_ERRORS as error:
        if (refusal := _refusal(location, error)) is not None:
            raise refusal from error
        raise


def is_conflict(error: Exception) -> bool:
    """Tell whether Delta refused a commit since another writer's came between."""
    return _CONFLICT.search(str(error)) is not None


def first_line(error: Exception) -> str:
    """Return the line of an error that says what is wrong, without Java's stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "[DELTA_" in line or "Exception:" in line), lines[0])


def _refusal(location: str, error: Exception) -> DedupError | None:
    text = str(error)
    if is_conflict(error):
        return ConflictError(
            f"another writer changed {location!r} while rows were deleted, so Delta refused the "
            f"commit and nothing was deleted. Run again: {first_line(error)}"
        )
    if "AMBIGUOUS_REFERENCE" in text and "`_metadata`" in text:
        return UnsupportedError(
            f"table {location!r} has a column '_metadata', which Delta mixes up with its own when "
            "it writes deletion vectors; nothing was deleted. Rename it, or use --method rewrite."
        )
    if "DELTA_CANNOT_MODIFY_APPEND_ONLY" in text:
        return UnsupportedError(
            f"table {location!r} is append-only (delta.appendOnly): no row can be deleted from it, "
            "nor from a clone. Use --method rewrite."
        )
    if "DELTA_UNSUPPORTED_FEATURES_FOR_WRITE" in text or "InvalidProtocolVersion" in text:
        return UnsupportedError(
            f"table {location!r} has a protocol feature that this Delta can't write: "
            f"{first_line(error)} Use a newer Delta, or --method rewrite."
        )
    return None


@contextmanager
def _clone_source(spark: SparkSession, images: PinnedTable, name: str) -> Iterator[str]:
    """Spell the source for a SHALLOW CLONE.

    Delta clones a partitioned Parquet directory only as a catalog table: it is one for a moment.
    """
    if images.format == "delta":
        yield f"{sql_name(images.location)} VERSION AS OF {images.version}"
    elif not images.partition_columns:
        yield f"parquet.{quoted(images.root)}"
    else:
        with session_settings(spark, _PARTITIONED_SOURCE_SETTINGS):
            try:
                spark.catalog.createTable(quoted(name), path=images.root, source="parquet")
                yield quoted(name)
            finally:
                drop_clone_source(spark, name)


def drop_clone_source(spark: SparkSession, name: str) -> None:
    """Drop the catalog's entry of a clone's source, where there is one; no file is touched."""
    spark.sql(f"DROP TABLE IF EXISTS {quoted(name)}")


def _check_features_kept(spark: SparkSession, source: str, cloned: str) -> None:
    """Delta leaves out, in silence, what it does not know of the source's protocol."""
    lost = _features(spark, source) - _features(spark, cloned) - _NOT_CLONED
    if lost:
        raise UnsupportedError(
            f"image table {source!r} has protocol features that this Delta can't write: "
            f"{', '.join(sorted(lost))}. Use a newer Delta, or --method rewrite."
        )


def _features(spark: SparkSession, location: str) -> set[str]:
    # Cheaper than DESCRIBE DETAIL, which works out the state of a new table.
    rows = spark.sql(f"SHOW TBLPROPERTIES {sql_name(location)}").collect()
    prefix = "delta.feature."
    return {row["key"].removeprefix(prefix) for row in rows if row["key"].startswith(prefix)}
