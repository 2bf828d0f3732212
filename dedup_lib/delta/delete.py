"""Delete rows of Delta tables by deletion vectors, without a rewrite of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from dedup_lib.delta.detail import delta_detail
from dedup_lib.delta.errors import explain_refused_deletes, refusal
from dedup_lib.delta.history import USER_METADATA
from dedup_lib.errors import UnsupportedError
from dedup_lib.plan import id_join
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.session.conf import SCAN_SETTINGS, session_settings, tuned_for_rows, tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.spark_session import one_row
from dedup_lib.session.sql_names import quoted, sql_name
from dedup_lib.tables.history import note_text

DELETION_VECTORS = "delta.enableDeletionVectors"
_DELETE_SETTINGS = {
    # Delta supports EXISTS in DELETE from 4.3 on, with this setting; without it, DELETE fails.
    "spark.databricks.delta.delete.allowExistsSubquery": "true",
    "spark.databricks.delta.delete.deletionVectors.persistent": "true",
    "spark.databricks.delta.merge.deletionVectors.persistent": "true",
    # A table property may start a compaction after each commit: that would rewrite images.
    "spark.databricks.delta.autoCompact.enabled": "false",
}


@dataclass(frozen=True)
class Purge:
    """The result of a purge.

    Attributes:
        removed_files: How many data files the table no longer refers to.
        added_files: How many data files replace them.
        removed_bytes: The size of the removed files.
        added_bytes: The size of the added files.
        vacuum: The statement that deletes the removed files; None if they belong to another table.
        vacuum_after: The time in UTC after which the statement deletes them.
    """

    removed_files: int
    added_files: int
    removed_bytes: int
    added_bytes: int
    vacuum: str | None = None
    vacuum_after: str | None = None


def check_deletes(spark: SparkSession, location: str, *, must_be_allowed: bool) -> None:
    """Check that this Spark can delete rows of a Delta table; write nothing.

    Args:
        spark: The session.
        location: The table's path or catalog name.
        must_be_allowed: Whether the run will delete from this table itself. If not, a missing
            privilege does not matter.

    Raises:
        UnsupportedError: The table is append-only, or its protocol has a feature that this
            Delta can't write.
    """
    try:
        spark.sql(f"DELETE FROM {sql_name(location)} WHERE false").collect()
    except SPARK_ERRORS as error:
        if (refused := refusal(location, error)) is not None:
            raise refused from error
        if must_be_allowed:
            raise UnsupportedError(
                f"rows of {location!r} can't be deleted: {first_line(error)}"
            ) from error


def has_deletion_vectors(detail: Mapping[str, Any] | Row) -> bool:
    """Tell from a Delta table's detail whether deletes write deletion vectors."""
    return bool(detail["properties"].get(DELETION_VECTORS) == "true")


def enable_deletion_vectors(spark: SparkSession, location: str) -> None:
    """Let deletes in a Delta table write deletion vectors; its protocol stays upgraded."""
    with explain_refused_deletes(location):
        spark.sql(
            f"ALTER TABLE {sql_name(location)} SET TBLPROPERTIES ('{DELETION_VECTORS}' = 'true')"
        )


def delete_ids(
    spark: SparkSession,
    location: str,
    image_id_column: str,
    removed_ids: DataFrame,
    *,
    image_ids: IdSizes,
    view: str,
    settings: Mapping[str, str],
    image_settings: Callable[[], Mapping[str, str]],
) -> int | None:
    """Delete the rows of a Delta table with given IDs, in one commit.

    Args:
        spark: The session.
        location: The table, which must have deletion vectors on.
        image_id_column: Its ID column.
        removed_ids: One row per ID, column `image_id`, of the same type as the ID column.
        image_ids: Sizes of the IDs of the image table; there are about as many in this table.
        view: An unused name for a temporary view.
        settings: Session settings for the statement.
        image_settings: Returns more session settings for a statement that reads images.

    Returns:
        The number of deleted rows; None if Delta skipped the commit, because the table has a
        commit with the same transaction ID.

    Raises:
        ConflictError: Another writer committed in the meantime.

    *Nulls:* rows with a NULL ID stay.
    *Cost:* one scan of the IDs. They are shuffled if Spark does not broadcast the removed IDs: the
    more IDs, the more partitions. Delta below 4.3 does not support EXISTS in DELETE: it reads
    every column of the files that lose rows (MERGE), but writes no more.
    """
    table, column = sql_name(location), f"images.{quoted(image_id_column)}"
    same = f"removed.image_id = coalesce({column}, {column})"  # as `values_of`
    delete = (
        f"DELETE FROM {table} AS images WHERE EXISTS (SELECT 1 FROM {view} AS removed WHERE {same})"
    )
    merge = (
        f"MERGE INTO {table} AS images USING {view} AS removed ON {same} WHEN MATCHED THEN DELETE"
    )
    partitions = id_join.shuffle_settings(
        spark, "shuffle both", image_ids, image_ids, only_more=True
    )
    removed_ids.createOrReplaceTempView(view)
    try:
        with (
            tuning_settings(spark, partitions),
            session_settings(spark, {**_DELETE_SETTINGS, **SCAN_SETTINGS, **settings}),
            explain_refused_deletes(location),
        ):
            try:
                with tuned_for_rows(spark, image_ids.num_rows):
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
    """Return session settings that mark a commit: a note and a transaction ID, by key or by run.

    Delta skips a statement if its transaction ID is already in the table: that of an earlier run
    with the key, or one that Spark Connect sends again.
    """
    name = f"run {note['run']}" if run_key is None else run_key
    spelled = name.replace("${", "$\\{")  # Spark would replace ${…}
    return {
        USER_METADATA: note_text(note),
        "spark.databricks.delta.write.txnAppId": f"remove-duplicates:{spelled}",
        "spark.databricks.delta.write.txnVersion": "1",
    }


def purge(spark: SparkSession, location: str, note: Mapping[str, Any]) -> Purge:
    """Rewrite the files of a Delta table that have deletion vectors, without the hidden rows.

    The old files stay on disk until a VACUUM, which this function does not run.

    Raises:
        ConflictError: Another writer committed in the meantime.
    """
    settings = {USER_METADATA: note_text(note)}
    with session_settings(spark, settings), explain_refused_deletes(location):
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
    """Return the time in UTC after which VACUUM deletes files that a table no longer refers to.

    Return None if the table's retention can't be read: a run should not fail for that.
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
