"""Engine `arrow`: rewrite Parquet files one by one with pyarrow, in Spark tasks."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession

from dedup_lib.errors import (
    ColumnTypeError,
    DedupError,
    UnsupportedError,
)
from dedup_lib.executor import rewrite_file
from dedup_lib.files import rewrite as files_rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.session.failures import SPARK_ERRORS, find_task_failure
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import literal_rows
from dedup_lib.settings import Settings
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt, Staged, Target


class ArrowEngine:
    """The engine `arrow`: pyarrow rewrites each Parquet file and selects rows by position."""

    name = "arrow"

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why executors can't rewrite the table's files without loss, or None.

        Args:
            session: The session, with its file systems.
            images: The image table.
            partial: The URI of a directory for a trial write; None if the run may not write.
            settings: The settings of the run.
        """
        facts = None if images.id_table is None else images.id_table.facts
        if facts is not None and facts.footer_copies:  # executors have read each file, and written
            return None if facts.refused is None else ColumnTypeError(facts.refused)
        return why_unusable(session.spark, images, partial, settings.storage_options)

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write the output's rows to files with the names of the input files."""
        return files_rewrite.write(run, plan, output, attempt, id_column=plan.images.id_column)


def why_unusable(
    spark: SparkSession,
    images: ImageTable,
    directory: str | None,
    options: Mapping[str, str],
) -> DedupError | None:
    """Find out whether executors can rewrite a table's files with pyarrow without loss.

    Args:
        spark: The session.
        images: The image table.
        directory: The URI of a directory for a trial write; None if the run may not write.
        options: Options for pyarrow's file systems.

    Returns:
        The reason why executors can't do it, or None.

    *Cost:* the footer of one file for each schema; one small Spark job.
    """
    rows = [{"source": file.path, "directory": directory} for file in images.schema_examples]
    frame = literal_rows(spark, rows, "source string, directory string")
    probed = files_rewrite.outcomes_of(rewrite_file.probe, options)("source", "directory")
    try:
        outcomes = frame.select(probed.alias("outcome")).select("outcome.*").collect()
    except SPARK_ERRORS as failure:
        return UnsupportedError(
            f"a Python task failed on an executor: {find_task_failure(failure)}"
        )
    return next(
        (error for row in outcomes if (error := files_rewrite.refusal_of(row)) is not None), None
    )
