"""A rewrite: choose the engine, and let it write the rows that stay where no reader sees them."""

from __future__ import annotations

from typing import Any, Literal

from pyspark.sql import SparkSession

from dedup_lib import arrow_rewrite, publish, spark_rewrite
from dedup_lib.attempts import Attempt
from dedup_lib.delta_delete import DELETION_VECTORS
from dedup_lib.errors import DedupError, UnsupportedError
from dedup_lib.id_join import BROADCAST_LIMIT_BYTES
from dedup_lib.image_settings import (
    TARGET_FILE_BYTES,
    settings_for,
    split_settings,
    writer_options,
)
from dedup_lib.parquet_types import check_names_are_kept, check_types_are_kept
from dedup_lib.planning import Plan
from dedup_lib.publish import Staged
from dedup_lib.report import Report
from dedup_lib.session_settings import tuning_settings
from dedup_lib.settings import Settings
from dedup_lib.storage import Storage
from dedup_lib.tables import PinnedTable, check_is_readable
from dedup_lib.targets import Target

ChosenEngine = Literal["arrow", "spark"]


def choose_engine(
    spark: SparkSession,
    images: PinnedTable,
    settings: Settings,
    *,
    output: Target | None,
    attempt: Attempt | None,
    report: Report,
) -> ChosenEngine:
    """Choose what moves the bytes: `arrow` for Parquet to Parquet where it can run, or `spark`.

    Args:
        spark: The session.
        images: The image table.
        settings: What was asked for.
        output: What is to be written; None in a dry run that names none.
        attempt: Where files will be written, to try; None where nothing may be written.
        report: Gets the choice, and why.

    Raises:
        DedupError: The engine that was asked for, or the only one that could, can't keep the
            table as it is.

    *Cost:* one small Spark job.
    """
    reason = _why_not_arrow(spark, images, settings, output, attempt)
    if settings.action == "annotate":
        _check_added_columns(images)
    if reason is None:
        report.choose("engine", "arrow", reason="Parquet to Parquet")
        report.engine = "arrow"
        return "arrow"
    if settings.engine == "arrow":
        refusal = reason if isinstance(reason, DedupError) else UnsupportedError(reason)
        raise refusal
    report.choose("engine", "spark", reason=str(reason))
    report.engine = "spark"
    check_is_readable(images)
    check_types_are_kept(images)
    if settings.resolved_output_format == "parquet":
        check_names_are_kept(images)
    return "spark"


def _check_added_columns(images: PinnedTable) -> None:
    taken = {name.lower() for name in images.frame.columns}
    for name in spark_rewrite.ADDED_COLUMNS:
        if name in taken:
            raise UnsupportedError(
                f"--action annotate adds the columns {' and '.join(spark_rewrite.ADDED_COLUMNS)}, "
                f"and image table {images.location!r} has {name!r} already: rename that one."
            )


def _why_not_arrow(
    spark: SparkSession,
    images: PinnedTable,
    settings: Settings,
    output: Target | None,
    attempt: Attempt | None,
) -> str | DedupError | None:
    if settings.engine == "spark":
        return "asked for"
    if images.format != "parquet" or settings.resolved_output_format != "parquet":
        return "arrow goes from Parquet to Parquet only"
    if settings.strategy != "auto" or settings.target_file_size is not None:
        return "what only the spark engine does was asked for: a strategy, or a target file size"
    if settings.engine == "auto" and output is not None and output.publishing == "marker":
        return "in an object store its files would be seen before the output is complete"
    partial = None if attempt is None else attempt.partial
    return arrow_rewrite.why_not(spark, images, partial, settings.storage_options)


def rewrite_by_arrow(
    spark: SparkSession,
    plan: Plan,
    output: Target,
    attempt: Attempt,
    *,
    settings: Settings,
    report: Report,
) -> Staged:
    """Let the `arrow` engine write the output's rows, under their files' names."""
    with report.step("rewrite files"):
        done = arrow_rewrite.rewrite(
            spark,
            plan.images,
            plan.files,
            plan.rows,
            staged=attempt.staged,
            partial=None if output.publishing == "marker" else attempt.partial,
            options=settings.storage_options,
            action=settings.action,
            image_id_column=settings.image_id_column,
            keeps_empty=plan.output_rows(settings.action) == 0,
        )
    report.choose(
        "tasks",
        str(done.tasks),
        files=len(plan.images.files),
        written_files=done.written_files,
        copied_files=done.copied_files,
    )
    return Staged(output, attempt.staged, None)


def rewrite_by_spark(
    spark: SparkSession,
    storage: Storage,
    plan: Plan,
    output: Target,
    attempt: Attempt,
    *,
    settings: Settings,
    report: Report,
    note: dict[str, Any],
) -> Staged:
    """Let the `spark` engine write the output's rows, by the strategy that suits the plan."""
    images, action = plan.images, settings.action
    strategy = spark_rewrite.choose_strategy(
        settings.strategy, plan.counts, has_row_index=images.has_row_index, action=action
    )
    report.strategy = strategy
    report.choose(
        "strategy",
        strategy,
        matched_ids=plan.counts.matched_ids,
        broadcast_bytes=plan.counts.broadcast_bytes,
        limit_bytes=BROADCAST_LIMIT_BYTES,
    )
    output_rows = plan.output_rows(action)
    rows = spark_rewrite.apply(images, settings.image_id_column, plan.rows, strategy, action)
    writer = spark_rewrite.writer(rows, images.partition_columns)
    if settings.since_last_run:  # what is listed later is deleted from there
        writer = writer.option(DELETION_VECTORS, "true")
    with report.step("weigh images"):
        values = settings_for(storage, images, plan.files)
    if output.format == "parquet":
        writer = writer.options(**writer_options(values))
    values |= split_settings(
        settings.target_file_bytes or TARGET_FILE_BYTES, output_rows / plan.image_ids.num_rows
    )
    with tuning_settings(spark, values) as refused, report.step("rewrite"):
        report.choices["settings"] = {"chosen": values, "refused": refused}
        if output_rows == 0 and output.format == "parquet":
            return publish.stage_empty_parquet(spark, storage, output, rows.schema, attempt)
        return publish.stage(
            output,
            writer,
            attempt,
            spark=spark,
            storage=storage,
            column_names=rows.columns,
            note=note,
        )
