"""Rewrite the files of a table one by one, in Python tasks of Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, LongType, StringType, StructField, StructType

from dedup_lib.errors import (
    ColumnTypeError,
    DedupError,
    InputChangedError,
    TableFormatError,
    UnreadableFileError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.executor import rewrite_file
from dedup_lib.executor.file_task import Directories, Rewritten, RowSelection, describe_outcome
from dedup_lib.files.positions import gather, gather_ids
from dedup_lib.files.rows import files_to_rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import tuned_for_rows
from dedup_lib.session.on_executors import on_executors
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt, CountedFile, Staged, Target

RewriteFile = Callable[[Any, Any, Mapping[str, str], RowSelection], Rewritten]
_ERRORS: dict[str, type[DedupError]] = {
    "changed": InputChangedError,
    "types": ColumnTypeError,
    "unavailable": UnsupportedError,
    "ids": VerificationError,
    "shard": UnreadableFileError,
    "keys": TableFormatError,
}
_OUTCOME = StructType(
    [
        StructField("num_rows", LongType()),
        StructField("written_bytes", LongType()),
        StructField("copied_files", LongType()),
        StructField("is_counted", BooleanType()),
        StructField("left_out", StringType()),
        StructField("renamed_rows", LongType()),
        StructField("refused", StringType()),
        StructField("reason", StringType()),
    ]
)


@dataclass(frozen=True)
class RewrittenFiles:
    """What the engine did.

    Attributes:
        written_files: The number of files of which something was written.
        copied_files: The number of files that were only copied.
        tasks: The number of tasks.
        counted: The files whose rows a task counted in the new file, by their path below the
            output.
        unwritten: Files that lost all rows, and so were not written, by their path below the
            output. Only `remove` says so.
        left_out: Why files beside some files were not written.
        renamed_rows: As `Rewritten` says.
    """

    written_files: int
    copied_files: int
    tasks: int
    counted: Mapping[str, CountedFile]
    unwritten: tuple[str, ...]
    left_out: tuple[str, ...]
    renamed_rows: int


def write(
    run: RunContext,
    plan: Plan,
    output: Target,
    attempt: Attempt,
    *,
    id_column: str,
    rewrite_one: RewriteFile = rewrite_file.rewrite,
) -> Staged:
    """Write the output of a run to files with the names of the input files; see `rewrite`."""
    done = write_files(run, plan, output, attempt, id_column=id_column, rewrite_one=rewrite_one)
    return Staged(output, attempt.staged, None, counted=done.counted)


def write_files(
    run: RunContext,
    plan: Plan,
    output: Target,
    attempt: Attempt,
    *,
    id_column: str,
    rewrite_one: RewriteFile,
    hides_rows: bool = False,
) -> RewrittenFiles:
    """Write the output of a run, file by file, and note in the report what was done.

    If the table hides rows of its files, `rewrite_one` gets the positions of the others.
    """
    settings = run.settings
    with run.step("rewrite files"):
        done = rewrite(
            run.session.spark,
            plan.images,
            plan.files,
            plan.rows,
            staged=attempt.staged,
            partial=None if output.is_marked else attempt.partial,
            options=settings.storage_options,
            selection=RowSelection(settings.action, id_column),
            keeps_empty=plan.output_rows(settings.action) == 0,
            materialise=run.workspace.materialiser(attempt),
            rewrite_one=rewrite_one,
            visible=plan.images.located_ids if hides_rows else None,
        )
    run.report.choose(
        "tasks",
        str(done.tasks),
        files=len(plan.images.files),
        written_files=done.written_files,
        copied_files=done.copied_files,
    )
    return done


def rewrite(
    spark: SparkSession,
    images: ImageTable,
    files: Sequence[FileRows],
    planned: DataFrame,
    *,
    staged: str,
    partial: str | None,
    options: Mapping[str, str],
    selection: RowSelection,
    keeps_empty: bool,
    materialise: Callable[[DataFrame], DataFrame],
    rewrite_one: RewriteFile = rewrite_file.rewrite,
    visible: DataFrame | None = None,
) -> RewrittenFiles:
    """Write each file of a table without its planned rows, under the same name.

    The action may also be to write only the planned rows, or all rows with two more columns.

    Args:
        spark: The session.
        images: The image table.
        files: The numbers of rows and sizes of its files.
        planned: The removal plan.
        staged: The URI of the directory to write to.
        partial: The URI of a directory for unfinished files; None if a rename is not a single
            step. Then executors finish the files on their own disks, and upload them.
        options: Options for pyarrow's file systems.
        selection: Which rows and columns to write.
        keeps_empty: Whether the output has no rows. Then one file is kept for its schema.
        materialise: Evaluates a frame once, and returns a frame that reads the result.
        rewrite_one: Rewrites a file on an executor, as `rewrite_file.rewrite` does for Parquet.
        visible: The rows that the table shows, as `ImageTable.located_ids`; None for all.

    Returns:
        What was written.

    Raises:
        InputChangedError: A file changed after the plan was made.
        ColumnTypeError: pyarrow would change a column.
        VerificationError: A file has other IDs at the planned positions than the plan.
        PySparkException: A task failed. If pyarrow can't read a file in any attempt, the text has
            `FileReadError` and the file.

    *Cost:* each file is read and written once, and the IDs of row groups that lose rows are read
    once more. The positions of the planned rows and checksums of their IDs are shuffled (with
    `annotate`, also their keepers), and the names of the files are broadcast.
    """
    chosen = files_to_rewrite(
        spark, images, files, keeps_empty=keeps_empty, materialise=materialise
    )
    if images.has_row_index:
        keepers = selection.action == "annotate"
        gathered = gather(
            planned, chosen.frame, chosen.num_groups, keepers=keepers, visible=visible
        )
    else:
        gathered = gather_ids(planned, chosen.frame, chosen.num_groups)
    directories = Directories(chosen.directory, staged, partial)

    def rewrite_row(file: Any, bitmaps: Any, options: Mapping[str, str]) -> Rewritten:
        return rewrite_one(directories.task_of(file), bitmaps, options, selection)

    file = F.struct("path", "size_bytes", "num_rows", "keeps_empty", "visible", "planned_ids")
    rewritten = outcomes_of(rewrite_row, options)(file, "bitmaps")
    done = gathered.join(F.broadcast(chosen.frame), "number").select(
        "path", rewritten.alias("outcome")
    )
    # Paths are long: only those that are asked for come to the driver.
    is_told = F.col("outcome.is_counted") | (
        F.lit(selection.action == "remove") & (F.col("outcome.written_bytes") == 0)
    )
    with tuned_for_rows(spark, sum(file.num_rows for file in files)):
        told_path = F.when(is_told, F.col("path")).alias("path")
        outcomes = done.select("outcome.*", told_path).collect()
    for row in outcomes:
        if (error := refusal_of(row)) is not None:
            raise error
    return RewrittenFiles(
        written_files=sum(row["written_bytes"] > 0 for row in outcomes),
        copied_files=sum(row["copied_files"] for row in outcomes),
        tasks=chosen.num_groups,
        counted={
            row["path"].lstrip("/"): CountedFile(row["written_bytes"], row["num_rows"])
            for row in outcomes
            if row["is_counted"] and row["written_bytes"] > 0
        },
        unwritten=tuple(
            row["path"].lstrip("/")
            for row in outcomes
            if row["path"] is not None and not row["written_bytes"]
        ),
        left_out=tuple(row["left_out"] for row in outcomes if row["left_out"] is not None),
        renamed_rows=sum(row["renamed_rows"] for row in outcomes),
    )


def outcomes_of(
    function: Callable[..., Rewritten], options: Mapping[str, str]
) -> Callable[..., Column]:
    """Return a function of columns: the outcome of a function of an executor for each row."""
    given = dict(options)
    return on_executors(lambda *values: describe_outcome(function, *values, given), _OUTCOME)


def refusal_of(outcome: Row) -> DedupError | None:
    """Return the error of an outcome; None if the function refused nothing."""
    if outcome["refused"] is None:
        return None
    return error_of(outcome["refused"], outcome["reason"])


def error_of(kind: str, reason: str) -> DedupError:
    """Return the error for a kind of `FileRefusedError`."""
    return _ERRORS[kind](reason)
