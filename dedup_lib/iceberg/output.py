"""Write an output as an Iceberg table: on a branch, which becomes `main` once it is verified."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame, DataFrameReader, DataFrameWriter, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import TableNotFoundError
from dedup_lib.iceberg import branches, target_table
from dedup_lib.iceberg.detail import MAIN, full_name, read_detail, snapshot_of
from dedup_lib.iceberg.history import NOTE
from dedup_lib.iceberg.layout import codec_of
from dedup_lib.session.failures import SPARK_ERRORS, exists_already, first_line
from dedup_lib.session.session import Session
from dedup_lib.tables.history import note_text
from dedup_lib.tables.target import Attempt, Origin, Staged, Target

# Rows are written as they come: no shuffle, no sort, and one open file for each partition.
_WRITER_OPTIONS = {
    "distribution-mode": "none",
    "use-table-distribution-and-ordering": "false",
    "fanout-enabled": "true",
}
_log = logging.getLogger(__name__)


def stage(
    session: Session,
    target: Target,
    writer: DataFrameWriter,
    attempt: Attempt,
    *,
    schema: StructType,
    note: Mapping[str, Any],
    origin: Origin,
) -> Staged:
    """Write the rows to a branch of the table; if there is no table, make one without rows first.

    A reader of the table sees its old rows until `promote`, or no rows if it is new.

    Raises:
        OutputExistsError: Another writer made the table in the meantime.
        UnsupportedError: The table to replace has other columns.
    """
    spark, table = session.spark, full_name(session.spark, target.location)
    branch = branches.branch_name(attempt.attempt_id)
    make = target_table.prepare if target.exists else target_table.create
    make(spark, target, attempt, schema, origin)
    try:
        branches.create_branch(spark, table, branch, target.version)
        codec = codec_of(origin.settings)
        (
            writer.partitionBy()  # the table knows its partitions
            .format("iceberg")
            .mode("overwrite" if target.exists else "append")
            .options(**_WRITER_OPTIONS, **{f"snapshot-property.{NOTE}": note_text(note)})
            .options(**({} if codec is None else {"compression-codec": codec}))
            .save(branches.branch_of(table, branch))
        )
        version = snapshot_of(spark, table, branch)
    except BaseException:
        _discard(spark, target, table, attempt)
        raise
    return Staged(target, branches.branch_of(table, branch), version)


def promote(session: Session, staged: Staged, attempt: Attempt) -> None:
    """Publish a verified branch."""
    spark, target = session.spark, staged.target
    table = full_name(spark, target.location)
    branch = branches.branch_name(attempt.attempt_id)
    if staged.version is None:
        raise TypeError("a branch that was written has a snapshot")
    branches.publish(spark, table, branch, verified=staged.version, previous=target.version)
    _log.info("to go back: %s", branches.rollback(table, target.version))


def discard(session: Session, staged: Staged, attempt: Attempt) -> None:
    """Drop the branch of an output that was not published, and a table made for it."""
    table = full_name(session.spark, staged.target.location)
    _discard(session.spark, staged.target, table, attempt)


def read_staged(spark: SparkSession, staged: Staged) -> DataFrame:
    """Read the rows of an output's snapshot, lazily; no count is taken from its metadata."""
    return _reader_of(spark, staged).table(full_name(spark, staged.target.location))


def written_bytes(spark: SparkSession, staged: Staged) -> int:
    """Return the bytes of the data files of an output's snapshot."""
    table = full_name(spark, staged.target.location)
    files = _reader_of(spark, staged).table(f"{table}.data_files")
    return int(files.selectExpr("coalesce(sum(file_size_in_bytes), 0)").collect()[0][0])


def append_row(
    spark: SparkSession, location: str, row: DataFrame, check: Callable[[StructType, bool], None]
) -> None:
    """Append a row of metrics in one commit; the first run makes the table."""
    table = full_name(spark, location)
    try:
        read_detail(spark, location)
    except TableNotFoundError:
        try:
            spark.catalog.createTable(table, source="iceberg", schema=row.schema)
        except SPARK_ERRORS as error:
            if not exists_already(error):
                raise
        read_detail(spark, location)
    check(spark.table(table).schema, True)
    row.write.format("iceberg").mode("append").options(**_WRITER_OPTIONS).save(table)


def _reader_of(spark: SparkSession, staged: Staged) -> DataFrameReader:
    options = {"snapshot-id": str(staged.version), "aggregate-push-down-enabled": "false"}
    return spark.read.options(**options)


def _discard(spark: SparkSession, target: Target, table: str, attempt: Attempt) -> None:
    """Drop a run's branch, and the table if the run made it and did not publish it."""
    branch = branches.branch_name(attempt.attempt_id)
    try:
        if not target.exists and snapshot_of(spark, table, MAIN) is None:
            target_table.drop_own(spark, target.location, attempt)
        else:
            branches.drop_branch(spark, table, branch)
    except (*SPARK_ERRORS, TableNotFoundError) as error:
        _log.warning("branch %r of table %s stays behind: %s", branch, table, first_line(error))
