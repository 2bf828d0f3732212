"""A rewrite: choose the engine, and let it write the rows that stay where no reader sees them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pyspark.sql import SparkSession

from dedup_lib.delta.delete import DELETION_VECTORS
from dedup_lib.errors import DedupError, InputError, UnsupportedError
from dedup_lib.methods import gpu_check, gpu_plans, spark_engine
from dedup_lib.methods.gpu import check_is_usable, find_accelerator
from dedup_lib.methods.spark_engine import Tuning
from dedup_lib.methods.tuning import (
    TARGET_FILE_BYTES,
    settings_for,
    split_settings,
    writer_options,
)
from dedup_lib.parquet import arrow_engine
from dedup_lib.parquet.kept_types import check_names_are_kept, check_types_are_kept
from dedup_lib.plan.planning import Plan
from dedup_lib.publish import stage
from dedup_lib.publish.attempts import Attempt
from dedup_lib.publish.stage import Staged
from dedup_lib.publish.targets import Target
from dedup_lib.report import Report
from dedup_lib.session.conf import tuning_settings
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import is_connect
from dedup_lib.settings import Settings
from dedup_lib.tables.pinned import PinnedTable, check_is_readable

ChosenEngine = Literal["arrow", "spark"]
_log = logging.getLogger(__name__)
_GPU_KEYS = ("falls_back", "ran_on_gpu", "ran_on_cpu")


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
    accelerator = find_accelerator(spark)
    if accelerator is not None:
        report.gpu = {"mode": accelerator.mode, **dict.fromkeys(_GPU_KEYS)}
    if settings.require_gpu:
        check_is_usable(accelerator, is_dry_run=settings.dry_run)
        gpu_plans.check_can_be_asked(spark)
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
    _check_spark_keeps(images, settings)
    return "spark"


def _check_spark_keeps(images: PinnedTable, settings: Settings) -> None:
    check_is_readable(images)
    check_types_are_kept(images)
    if settings.resolved_output_format == "parquet":
        check_names_are_kept(images)


def _check_added_columns(images: PinnedTable) -> None:
    taken = {name.lower() for name in images.frame.columns}
    for name in spark_engine.ADDED_COLUMNS:
        if name in taken:
            raise UnsupportedError(
                f"--action annotate adds the columns {' and '.join(spark_engine.ADDED_COLUMNS)}, "
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
    if settings.engine == "auto" and _is_for_gpu(spark, images, settings):
        return "the RAPIDS Accelerator is there, and arrow would leave it idle"
    if settings.engine == "auto" and output is not None and output.publishing == "marker":
        return "in an object store its files would be seen before the output is complete"
    partial = None if attempt is None else attempt.partial
    return arrow_engine.why_not(spark, images, partial, settings.storage_options)


def _is_for_gpu(spark: SparkSession, images: PinnedTable, settings: Settings) -> bool:
    """Tell whether a GPU is to do it, where arrow could: asked for, or there and able to.

    Able is one that can read the images: it is pointless where these come and go by the CPU.
    """
    if settings.require_gpu or not uses_gpu(spark):
        return settings.require_gpu
    try:
        _check_spark_keeps(images, settings)
    except InputError:
        return False
    return gpu_check.can_read(images, settings)


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
        done = arrow_engine.rewrite(
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


def uses_gpu(spark: SparkSession) -> bool:
    """Tell whether what the `spark` engine does is the GPU's, as far as it can."""
    accelerator = find_accelerator(spark)
    return accelerator is not None and accelerator.is_executing


def tune(session: Session, plan: Plan, *, settings: Settings, report: Report) -> Tuning:
    """Choose strategy and settings of the `spark` engine by what the plan and the images weigh.

    Raises:
        UnsupportedError: No strategy can do it.
    """
    images, action = plan.images, settings.action
    is_on_gpu = settings.require_gpu or uses_gpu(session.spark)
    strategy = spark_engine.choose_strategy(
        settings.strategy,
        plan.counts,
        has_row_index=images.has_row_index,
        action=action,
        is_on_gpu=is_on_gpu,
    )
    report.strategy = strategy
    report.choose(
        "strategy",
        strategy,
        matched_ids=plan.counts.matched_ids,
        broadcast_bytes=plan.counts.broadcast_bytes,
        limit_bytes=spark_engine.broadcast_limit_bytes(is_on_gpu=is_on_gpu),
    )
    with report.step("weigh images"):
        values = settings_for(session.storage, images, plan.files, is_on_gpu=is_on_gpu)
    options = writer_options(values) if settings.resolved_output_format == "parquet" else {}
    kept_fraction = plan.output_rows(action) / plan.image_ids.num_rows
    file_bytes = settings.target_file_bytes or TARGET_FILE_BYTES
    split = split_settings(file_bytes, kept_fraction, is_on_gpu=is_on_gpu)
    return Tuning(strategy, options, values | split)


def rewrite_by_spark(
    session: Session,
    plan: Plan,
    output: Target,
    attempt: Attempt,
    *,
    settings: Settings,
    tuning: Tuning,
    report: Report,
    note: dict[str, Any],
) -> Staged:
    """Let the `spark` engine write the output's rows, by the strategy that suits the plan."""
    images, action = plan.images, settings.action
    output_rows = plan.output_rows(action)
    rows = spark_engine.apply(images, settings.image_id_column, plan.rows, tuning.strategy, action)
    writer = spark_engine.writer(rows, images.partition_columns).options(**tuning.options)
    if settings.since_last_run:  # what is listed later is deleted from there
        writer = writer.option(DELETION_VECTORS, "true")
    with (
        tuning_settings(session.spark, tuning.settings) as refused,
        report.step("rewrite"),
        _operators_noted(session.spark, report),
    ):
        report.choices["settings"] = {"chosen": dict(tuning.settings), "refused": refused}
        if output_rows == 0 and output.format == "parquet":
            return stage.stage_empty_parquet(session, output, rows.schema, attempt)
        return stage.stage(
            output,
            writer,
            attempt,
            session=session,
            column_names=rows.columns,
            note=note,
        )


@contextmanager
def _operators_noted(spark: SparkSession, report: Report) -> Iterator[None]:
    """Note in the report where Spark's operators ran, if there is a GPU to run them."""
    if report.gpu is None or is_connect(spark):
        yield
        return
    newest = gpu_plans.newest_query(spark)
    yield
    if newest is None or (names := gpu_plans.operators_since(spark, newest)) is None:
        return
    on_gpu = [name for name in names if gpu_plans.is_on_gpu(name)]
    report.gpu |= {"ran_on_gpu": on_gpu, "ran_on_cpu": [n for n in names if n not in on_gpu]}
    if uses_gpu(spark) and not on_gpu:
        _log.warning("the RAPIDS Accelerator is there, and nothing of the rewrite ran on a GPU")
