"""Run a job from end to end: plan, check, apply, verify, publish."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from dedup_lib import metrics
from dedup_lib.errors import DedupError, InputError, SafetyLimitError
from dedup_lib.lineage import emit_lineage
from dedup_lib.lists.removal_list import is_plain
from dedup_lib.methods import repeats, run_key, tries
from dedup_lib.methods.choice import choose_method
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan import from_kept_plan
from dedup_lib.plan.inputs import Inputs, ListReader, check_kinds, image_table
from dedup_lib.plan.kept_plan import read_kept_plan
from dedup_lib.plan.limits import check_limits
from dedup_lib.plan.plan import Plan
from dedup_lib.plan.planning import PLAN_SETTINGS, make_plan
from dedup_lib.publish.overlap import check_locations, check_report
from dedup_lib.redaction import redact
from dedup_lib.report import Report
from dedup_lib.session.conf import one_run, run_settings, tuning_settings
from dedup_lib.session.failures import storage_errors_as, translate_spark_errors
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.session.spark_session import name_jobs
from dedup_lib.session.storage import Storage
from dedup_lib.settings import Settings
from dedup_lib.tables.id_table import WantedIds
from dedup_lib.tables.read import read_images
from dedup_lib.tables.registry import format_named, format_of, with_output_format
from dedup_lib.tables.target import Target

# Evaluates a frame once, and returns a frame that reads the result.
Materialise = Callable[[DataFrame], DataFrame]
_log = logging.getLogger(__name__)


def run(spark: SparkSession, settings: Settings, *, report: Report | None = None) -> Report:
    """Remove the rows that the removal lists name, and publish the rows that stay.

    Args:
        spark: The session, classic or of Spark Connect. The run changes its settings and restores
            them at the end. Each of several runs at the same time needs its own session
            (`spark.newSession()`).
        settings: What to do.
        report: A report that the run fills in step by step, so that a caller still has it if the
            run fails. The default is a new report.

    Returns:
        The report. It is also written to `settings.report`, even if the run fails.

    Raises:
        DedupError: The run failed; `dedup_lib.errors` lists the reasons. Nothing is published and
            no row is deleted, unless the message says so and names the Delta commit.

    *Cost:* one scan of the image IDs, and two or three of the lists. A rewrite then scans the
    images once and writes those that stay. Other methods scan the IDs twice more.
    """
    report = Report() if report is None else report
    report.describe(settings)
    _warn_of_secrets(settings)
    session = Session(spark, open_storage(spark, settings.storage_options))
    is_saved = False  # stays False until it is certain that the report does not replace an input
    try:
        with (
            one_run(spark),
            tuning_settings(spark, run_settings(spark.version)),
            name_jobs(spark) as describe,
            report.progress.notifying(describe),
        ):
            with storage_errors_as(InputError):
                check_report(session, settings)
            is_saved = settings.report is not None
            with (
                translate_spark_errors(),
                emit_lineage(settings, report, session.storage.canonical),
            ):
                tries.execute(lambda: _Run(session, with_output_format(session, settings), report))
    except BaseException as error:
        report.fail(error)
        if is_saved and settings.report is not None:
            _save_failed(report, settings.report, session.storage)
        metrics.append(session, settings, report)
        raise
    try:
        if settings.report is not None:
            report.save(settings.report, session.storage)
    finally:
        metrics.append(session, settings, report)
    return report


def _save_failed(report: Report, location: str, storage: Storage) -> None:
    try:
        report.save(location, storage)
    except DedupError as error:  # the error that ended the run is more important
        _log.error("the report could not be written: %s", error)


class _Run(RunContext):
    """One run: the steps that the README describes, one function per step."""

    def execute(self) -> None:
        with ExitStack() as cleanup:
            with self.phase("plan"):
                check_locations(self.session, self.settings)
                self.check_review()
                self.workspace.clean_up()
                cleanup.enter_context(tuning_settings(self.session.spark, self.log_settings()))
                if (earlier := repeats.find_earlier_run(self)) is not None:
                    repeats.repeat(self, earlier, self.read_inputs().images)
                    return
                output = self.find_targets()
                open_attempt = self.workspace.attempt_opener(output, cleanup)
                inputs = self.read_inputs(self.workspace.wanted_ids(open_attempt, cleanup))
                method = choose_method(self, inputs.images, output)
                method.check()
                if method.is_done():
                    return
                attempt = open_attempt(inputs.images.root)
                method.prepare(attempt)
                materialise = self.workspace.materialiser(attempt)
                plan = self.make_plan(inputs, materialise)
                method.compare(plan, materialise)
                self.make_review(plan, inputs)
            if self.settings.dry_run:
                self.keep_records(plan)
            with self.phase("check"):
                self.check_limits(plan, inputs)
                method.check_plan(plan)
            with tuning_settings(self.session.spark, self.new_log_settings(plan, output)):
                method.apply(plan)

    def check_review(self) -> None:
        """Check, before any work, that the review can be made and written."""
        if self.settings.review is not None:
            from dedup_lib.review import page  # noqa: PLC0415  # only a run with a review needs it

            page.check_installed()
            page.review_file(self.settings.review).check(self.session.storage)

    def log_settings(self) -> Mapping[str, str]:
        """Return settings for reading the logs of the tables that the run reads or commits to."""
        settings = self.settings
        read = [settings.images]
        if settings.since_last_run and settings.output is not None:
            read.append(settings.output)
        tables: dict[str, list[str]] = {}
        for location in read:
            with suppress(DedupError):  # a later step says why, or the run makes the table
                tables.setdefault(format_of(self.session, location).name, []).append(location)
        chosen: dict[str, str] = {}
        for name, locations in tables.items():
            chosen |= format_named(name).log_settings(self.session, locations)
        return chosen

    def new_log_settings(self, plan: Plan, output: Target | None) -> Mapping[str, str]:
        """Return settings for reading the log of an output, if they were not chosen before."""
        if output is None:
            return {}
        there, written = [output.location] * output.exists, format_named(output.format)
        return written.log_settings(self.session, there, num_files=len(plan.files))

    def find_targets(self) -> Target | None:
        """Examine all locations to write; return the output's target, if there is an output."""
        location = self.settings.output
        output = None if location is None else self.find_target(location)
        locations = self.settings.record_locations
        self.record_targets = {name: self.find_target(at) for name, at in locations.items()}
        return output

    def read_inputs(self, wanted_ids: WantedIds | None = None) -> Inputs:
        settings = self.settings
        with self.step("read inputs"):
            inputs = self.note_inputs(wanted_ids)
        if settings.run_key is not None or settings.since_last_run:
            with self.step("fingerprint lists"):
                self.fingerprint = run_key.fingerprint(
                    self.session.storage,
                    settings,
                    inputs.images.location,
                    lists=inputs.lists,
                    protected=inputs.protected,
                    plan=None if inputs.kept_plan is None else inputs.kept_plan.digest,
                )
        return inputs

    def note_inputs(self, wanted_ids: WantedIds | None) -> Inputs:
        """Read the inputs one after another; a failed run reports the inputs before the error."""
        session, settings, noted = self.session, self.settings, self.report.inputs
        reader = ListReader(session, settings)
        wanted = reader.complete(wanted_ids)
        table = read_images(session, settings.images, settings.images_format, wanted)
        noted["images"] = table.described()
        images = image_table(table, settings)
        noted["images"] = images.described()
        lists = []
        for index, removal_list in enumerate(reader.read_lists(images)):
            lists.append(removal_list)
            noted["duplicate_ids"][index] = removal_list.described()
        check_kinds(lists, settings)
        protected = []
        for index, listed in enumerate(reader.read_protected(images)):
            protected.append(listed)
            noted["protect_ids"][index] = {**listed.described(), "kind": "protect"}
        kept_plan = None
        if settings.apply_plan is not None:
            kept_plan = read_kept_plan(session, settings.apply_plan, images)
            noted["plan"] = kept_plan.described()
        return Inputs(images, lists, protected, kept_plan)

    def make_plan(self, inputs: Inputs, materialise: Materialise) -> Plan:
        settings = self.settings
        with tuning_settings(self.session.spark, PLAN_SETTINGS):
            if inputs.kept_plan is None:
                plan = make_plan(settings, inputs, self.step, materialise)
            else:
                plan = from_kept_plan.make_plan(
                    self.session,
                    inputs.images,
                    inputs.kept_plan,
                    settings=settings,
                    step=self.step,
                    materialise=materialise,
                )
            self.note_plan(plan, inputs)
            if settings.removed_output is not None:
                note = from_kept_plan.note_of(self.session, plan, inputs, settings)
                self.made_for = self.report.hide(note)
        return plan

    def note_plan(self, plan: Plan, inputs: Inputs) -> None:
        """Report the plan's counts, and its facts about the lists."""
        report = self.report
        report.counts |= plan.reported_counts()
        report.bytes["input"] = plan.input_bytes
        for name, value in plan.reported_facts().items():
            setattr(report, name, value)
        if plan.join:
            report.choices["plan join"] = dict(plan.join)
        if not is_plain(inputs.lists):
            _note_matches(report.inputs["duplicate_ids"], plan.matched_by_list)
        if plan.protection is not None:
            matched = [item.matched_ids for item in plan.protection.lists]
            _note_matches(report.inputs["protect_ids"], matched)
            if (num_ids := plan.protection.condition_ids) is not None:
                report.inputs["protect_where"]["matched_ids"] = num_ids

    def make_review(self, plan: Plan, inputs: Inputs) -> None:
        """Write the review of the plan, even if a safety limit will stop the run."""
        if self.settings.review is not None:
            from dedup_lib.review import making  # noqa: PLC0415  # only a run with a review needs it

            self.report.review = making.make_review(
                self.session,
                plan,
                inputs,
                settings=self.settings,
                run=self.attempt_id,
                step=self.step,
            )

    def check_limits(self, plan: Plan, inputs: Inputs) -> None:
        """Check the safety limits.

        If a limit is exceeded, keep the IDs that matched nothing: they may show the reason.
        """
        try:
            if inputs.kept_plan is None:
                check_limits(plan, inputs, self.settings)
            else:
                from_kept_plan.check_limits(plan, inputs.kept_plan, self.settings)
        except SafetyLimitError:
            if not self.settings.dry_run:
                self.keep_records(plan, "unmatched_output")
            raise


def _note_matches(described: Sequence[dict[str, Any]], matched: Sequence[int]) -> None:
    for item, num_ids in zip(described, matched, strict=True):
        item["matched_ids"] = num_ids


def _warn_of_secrets(settings: Settings) -> None:
    lists: list[str | None] = [item.location for item in settings.duplicate_ids]
    lists += [*settings.protect_ids, settings.apply_plan]
    for location in (settings.images, *lists, settings.output):
        if location is not None and redact(location) != location:
            _log.warning(
                "%r holds a secret, which Spark's event log and UI show: leave it out, and give "
                "credentials in Spark's settings",
                redact(location),
            )
