"""Method `rewrite`: write the rows to keep into new files, file by file or by Spark."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from dedup_lib.errors import DedupError, InputError, UnsupportedError
from dedup_lib.methods import gpu_check, gpu_plans, spark_engine
from dedup_lib.methods.file_engine import FileEngine
from dedup_lib.methods.gpu import check_is_usable, find_accelerator, uses_gpu
from dedup_lib.methods.new_output import NewOutput
from dedup_lib.methods.spark_engine import Tuning
from dedup_lib.methods.tuning import TARGET_FILE_BYTES, settings_for, split_settings
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import tuning_settings
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import is_connect
from dedup_lib.settings import Settings
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.kept_types import (
    check_instants_are_kept,
    check_lists_are_kept,
    check_types_are_kept,
    warn_of_enums,
)
from dedup_lib.tables.pinned import check_is_readable
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import Attempt, Origin, Staged, Target

_SPARK = "spark"
_log = logging.getLogger(__name__)
_GPU_KEYS = ("falls_back", "ran_on_gpu", "ran_on_cpu")


@dataclass(frozen=True)
class ChosenEngine:
    """The engine of a rewrite, as the report names it, and why it was chosen.

    `refusal` is the error of the file engine if it can't rewrite the files.
    """

    name: str
    reason: str
    refusal: DedupError | None = None


class Rewrite(NewOutput):
    """Write a new table with the rows to keep, the rows to remove, or all rows with marks."""

    name = "rewrite"
    _tuning: Tuning | None = None

    def prepare(self, attempt: Attempt | None) -> None:
        """Choose the engine."""
        super().prepare(attempt)
        run, report = self.run, self.run.report
        with run.step("choose engine"):
            accelerator = find_accelerator(run.session.spark)
            if accelerator is not None:
                report.gpu = {"mode": accelerator.mode, **dict.fromkeys(_GPU_KEYS)}
            if run.settings.require_gpu:
                check_is_usable(accelerator, is_dry_run=run.settings.dry_run)
                gpu_plans.check_can_be_asked(run.session.spark)
            chosen = choose_engine(
                run.session, self.images, run.settings, output=self.output, attempt=attempt
            )
            report.engine = chosen.name
            report.choose("engine", chosen.name, reason=chosen.reason)
            if chosen.name == _SPARK:
                _check_spark_keeps(run.session, self.images, run.settings, chosen.refusal)
                warn_of_enums(self.images)

    def check_plan(self, plan: Plan) -> None:
        """Check the plan as the format does; find out which parts a GPU can't run."""
        run, settings, report = self.run, self.run.settings, self.run.report
        plan.images.table_format.check_plan(run, plan)
        if report.engine != _SPARK or not plan.output_rows(settings.action):
            return
        plan.images.table_format.check_heap(run.session, plan.images)
        if not settings.require_gpu and not uses_gpu(run.session.spark):
            return
        tuning = self._tuning = self._tune(plan)
        with run.step("ask the accelerator"):
            found = gpu_check.check_gpu(run.session.spark, plan.images, tuning, settings)
        if found is None:
            return
        falls_back = [dataclasses.asdict(item) for item in found]
        report.gpu = (report.gpu or {}) | {"falls_back": falls_back}
        if settings.require_gpu:
            gpu_check.check_none_falls_back(found)

    def write(self, plan: Plan, output: Target, attempt: Attempt, cleanup: ExitStack) -> Staged:
        """Let the chosen engine write the output's rows."""
        run = self.run
        if run.report.engine != _SPARK:
            written = format_named(output.format)
            engine: FileEngine = plan.images.table_format.engine_to(written)
            return engine.write(run, plan, output, attempt)
        return self._write_by_spark(plan, output, attempt, self._tuning or self._tune(plan))

    def _tune(self, plan: Plan) -> Tuning:
        """Choose the strategy and settings of the `spark` engine by the sizes of plan and images.

        Raises:
            UnsupportedError: No strategy can do the rewrite.
        """
        run, images, settings = self.run, plan.images, self.run.settings
        is_on_gpu = settings.require_gpu or uses_gpu(run.session.spark)
        strategy = spark_engine.choose_strategy(
            settings.strategy,
            plan.counts,
            has_row_index=images.has_row_index,
            action=settings.action,
            is_on_gpu=is_on_gpu,
        )
        run.report.strategy = strategy
        run.report.choose(
            "strategy",
            strategy,
            matched_ids=plan.counts.matched_ids,
            broadcast_bytes=plan.counts.broadcast_bytes,
            limit_bytes=spark_engine.broadcast_limit_bytes(is_on_gpu=is_on_gpu),
        )
        with run.step("weigh images"):
            values = settings_for(run.session, images, plan.files, is_on_gpu=is_on_gpu)
        options = format_named(settings.resolved_output_format).writer_options(values)
        kept_fraction = plan.output_rows(settings.action) / plan.image_ids.num_rows
        file_bytes = settings.target_file_bytes or TARGET_FILE_BYTES
        split = split_settings(file_bytes, kept_fraction, is_on_gpu=is_on_gpu)
        return Tuning(strategy, options, values | split)

    def _write_by_spark(
        self, plan: Plan, output: Target, attempt: Attempt, tuning: Tuning
    ) -> Staged:
        run, images, action = self.run, plan.images, self.run.settings.action
        spark = run.session.spark
        rows = spark_engine.apply(images.tuned(tuning.settings), plan.rows, tuning.strategy, action)
        written = format_named(output.format)
        writer = spark_engine.writer(rows, images.partition_columns).options(**tuning.options)
        # With --since-last-run, later runs delete rows from this output.
        writer = written.prepare_writer(writer, is_changed_later=run.settings.since_last_run)
        with (
            tuning_settings(spark, tuning.settings) as refused,
            run.step("rewrite"),
            self._noting_operators(),
        ):
            run.report.choices["settings"] = {
                "chosen": dict(tuning.settings),
                "refused": refused,
            }
            return written.stage(
                run.session,
                output,
                writer,
                attempt,
                schema=rows.schema,
                num_rows=plan.output_rows(action),
                note=run.note(plan),
                origin=Origin(images, tuning.settings),
            )

    @contextmanager
    def _noting_operators(self) -> Iterator[None]:
        """Note in the report where Spark's operators ran, if the session has the accelerator."""
        spark, report = self.run.session.spark, self.run.report
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
            _log.warning(
                "the RAPIDS Accelerator is present, but no part of the rewrite ran on a GPU"
            )

    @property
    def ids_are_unverified(self) -> bool:
        """Whether Spark writes the output: a file engine compares the IDs itself."""
        return self.run.report.engine == _SPARK

    def note_written(self, staged: Staged) -> None:
        """Note the size of the files that were written."""
        written = format_named(staged.target.format)
        self.run.report.bytes["output"] = written.written_bytes(self.run.session, staged)


def choose_engine(
    session: Session,
    images: ImageTable,
    settings: Settings,
    *,
    output: Target | None,
    attempt: Attempt | None,
) -> ChosenEngine:
    """Choose the engine: the file engine of the format if it can do the rewrite, else `spark`.

    Args:
        session: The session, with its file systems.
        images: The image table.
        settings: The run's settings.
        output: The target to write; None in a dry run without an output.
        attempt: The run's directory, for a trial write; None if nothing may be written.

    Raises:
        DedupError: The engine in the settings, or the only possible engine, can't write the table
            without changes to its data.

    *Cost:* one small Spark job.
    """
    written = format_named(settings.resolved_output_format)
    reason = _why_not_by_files(session, images, settings, written, output=output, attempt=attempt)
    if settings.action == "annotate":
        spark_engine.check_added_columns(images)
    if reason is None:
        engine: FileEngine = images.table_format.engine_to(written)
        return ChosenEngine(engine.name, f"{images.table_format.title} to {written.title}")
    if settings.engine != _SPARK and not _has_choice(images, settings, written):
        raise reason if isinstance(reason, DedupError) else UnsupportedError(f"{reason}.")
    refusal = reason if isinstance(reason, DedupError) else None
    return ChosenEngine(_SPARK, str(reason), refusal)


def _has_choice(images: ImageTable, settings: Settings, written: TableFormat) -> bool:
    """Tell whether Spark may do the rewrite, and can: it reads no shards."""
    is_readable = not images.table_format.traits.has_shards
    return settings.engine == "auto" and _SPARK in written.traits.engines and is_readable


def _check_spark_keeps(
    session: Session,
    images: ImageTable,
    settings: Settings,
    other_refusal: DedupError | None = None,
) -> None:
    """Check that Spark keeps all values; an error also says why no file engine was chosen."""
    written = format_named(settings.resolved_output_format)
    try:
        check_is_readable(images)
        check_types_are_kept(images)
        check_instants_are_kept(session, images)
        check_lists_are_kept(images)
        written.check_keeps(images)
    except DedupError as error:
        if other_refusal is None:
            raise
        engine: FileEngine = images.table_format.engine_to(written)
        why = str(other_refusal).rstrip(".")
        raise type(error)(f"{error} Nor can {engine.name} do it here: {why}.") from error


def _why_not_by_files(
    session: Session,
    images: ImageTable,
    settings: Settings,
    written: TableFormat,
    *,
    output: Target | None,
    attempt: Attempt | None,
) -> str | DedupError | None:
    engine: FileEngine | None = images.table_format.engine_to(written)
    if settings.engine == _SPARK:
        return "asked for"
    if engine is None:
        return f"no file engine rewrites {images.table_format.title} to {written.title}"
    if settings.strategy != "auto" or settings.target_file_size is not None:
        return "only the spark engine has strategies and a target file size"
    has_choice = _has_choice(images, settings, written)
    if settings.require_gpu or (has_choice and _is_for_gpu(session, images, settings)):
        return f"the RAPIDS Accelerator is present, and {engine.name} would not use it"
    if has_choice and output is not None and output.is_marked:
        return "in an object store its files would be visible before the output is complete"
    partial = None if attempt is None else attempt.partial
    reason = engine.why_unusable(session, images, partial, settings)
    return reason or written.why_no_files(output)


def _is_for_gpu(session: Session, images: ImageTable, settings: Settings) -> bool:
    """Tell whether a GPU should do the rewrite although a file engine could.

    This is so if the accelerator is present and can read the images: otherwise the CPU would read
    and write all of them.
    """
    if not uses_gpu(session.spark):
        return False
    try:
        _check_spark_keeps(session, images, settings)
    except InputError:
        return False
    return gpu_check.can_read(images, settings)
