"""Write an output as an Iceberg table: on a branch, which becomes `main` once it is verified."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, DataFrameReader, DataFrameWriter, SparkSession
from pyspark.sql.types import StructType

from dedup_lib.errors import ConflictError, SettingsError, TableNotFoundError
from dedup_lib.iceberg import branch as branches
from dedup_lib.iceberg import target_table
from dedup_lib.iceberg.branch import Branch
from dedup_lib.iceberg.detail import MAIN, full_name, names_ref, read_detail, snapshot_of
from dedup_lib.iceberg.history import NOTE
from dedup_lib.iceberg.layout import codec_of
from dedup_lib.session.failures import SPARK_ERRORS, exists_already, first_line
from dedup_lib.session.session import Session
from dedup_lib.tables.history import UNFINISHED, note_text
from dedup_lib.tables.target import Attempt, Origin, Staged, Target

# Rows are written as they come: no shuffle, no sort, and one open file for each partition.
_WRITER_OPTIONS = {
    "distribution-mode": "none",
    "use-table-distribution-and-ordering": "false",
    "fanout-enabled": "true",
}
_USUAL_FILE_BYTES = 512 * 1024**2
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
    spark = session.spark
    if target.exists:
        target_table.prepare(spark, target, schema, origin)
    else:
        target_table.create(spark, target, attempt, schema, origin)
    with open_branch(spark, target, attempt) as branch:
        mode = "overwrite" if target.exists else "append"
        return write_rows(
            spark, target, branch, writer.mode(mode), note=note, settings=origin.settings
        )


@contextmanager
def open_branch(spark: SparkSession, target: Target, attempt: Attempt) -> Iterator[Branch]:
    """Make a run's branch of an output; after a failure, drop it and a table made for it."""
    branch = _branch_of(spark, target, attempt)
    try:
        branches.create(spark, branch, target.version)
        yield branch
    except BaseException:
        _discard(spark, target, attempt)
        raise


def write_rows(
    spark: SparkSession,
    target: Target,
    branch: Branch,
    writer: DataFrameWriter,
    *,
    note: Mapping[str, Any],
    settings: Mapping[str, str],
) -> Staged:
    """Write rows to a branch of an output in one commit, as they come.

    Args:
        spark: The session.
        target: The output.
        branch: The branch.
        writer: The rows, with the mode.
        note: The note for the snapshot.
        settings: The session settings that were chosen for the images.
    """
    codec = codec_of(settings)
    (
        writer.partitionBy()  # the table knows its partitions
        .format("iceberg")
        .options(**_WRITER_OPTIONS, **{f"snapshot-property.{NOTE}": note_text(note)})
        .options(**({} if codec is None else {"compression-codec": codec}))
        .options(**_file_size(settings))
        .save(branch.written)
    )
    return Staged(target, branch.written, snapshot_of(spark, branch.table, branch.name))


def promote(session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]) -> None:
    """Publish a verified branch. An unfinished record is still noted as its maker's."""
    spark, target = session.spark, staged.target
    branch = _branch_of(spark, target, attempt)
    if staged.version is None:
        raise TypeError("a branch that was written has a snapshot")
    if not branches.publish(spark, branch, staged.version):
        raise ConflictError(
            f"another writer changed output {target.location!r} in the meantime, so nothing was "
            "published. Run again."
        )
    if not target.exists and UNFINISHED not in note:
        target_table.forget_owner(spark, branch.table)
    _log.info("to go back: %s", branches.rollback(branch, target.version))


def discard(session: Session, staged: Staged, attempt: Attempt) -> None:
    """Drop the branch of an output, and a table that was made for it and not published."""
    _discard(session.spark, staged.target, attempt)


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
    if names_ref(spark, location):
        raise SettingsError(f"{location!r} is a branch or tag: give the name of a table.")
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


def _file_size(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the option by which a task writes one file, where tasks read more than usually."""
    split_bytes = int(settings.get("spark.sql.files.maxPartitionBytes", "0"))
    return {"target-file-size-bytes": str(split_bytes)} if split_bytes > _USUAL_FILE_BYTES else {}


def _reader_of(spark: SparkSession, staged: Staged) -> DataFrameReader:
    options = {"snapshot-id": str(staged.version), "aggregate-push-down-enabled": "false"}
    return spark.read.options(**options)


def _branch_of(spark: SparkSession, target: Target, attempt: Attempt) -> Branch:
    return branches.branch_of_run(spark, target.location, attempt.attempt_id, target.version)


def _discard(spark: SparkSession, target: Target, attempt: Attempt) -> None:
    """Drop a run's branch, and the table if the run made it and did not publish it."""
    branch = _branch_of(spark, target, attempt)
    try:
        if not target.exists and snapshot_of(spark, branch.table, MAIN) is None:
            target_table.drop_own(spark, target.location, attempt)
            return
    except (*SPARK_ERRORS, TableNotFoundError) as error:
        _log.warning("table %s stays behind, without rows: %s", branch.table, first_line(error))
    branches.drop(spark, branch.table, branch.name)
