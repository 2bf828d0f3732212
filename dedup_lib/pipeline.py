"""Plan, check, apply, verify, publish: a run from end to end."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from dedup_lib import (
    applied_plans,
    clones,
    gpu_check,
    id_scan,
    in_place,
    marked_outputs,
    metrics,
    publish,
    records,
    review_files,
    review_page,
    reviews,
    rewrite,
    run_key,
    tables,
    targets,
)
from dedup_lib.arrow_annotate import IS_DUPLICATE
from dedup_lib.attempts import (
    Attempt,
    companion_directory,
    new_attempt_id,
)
from dedup_lib.catch_up import Difference
from dedup_lib.delta_tables import log_settings
from dedup_lib.errors import (
    DedupError,
    InputError,
    PublishError,
    SafetyLimitError,
    TableNotFoundError,
)
from dedup_lib.failures import errors_named, storage_errors_as
from dedup_lib.id_scan import FileRows
from dedup_lib.image_settings import settings_for
from dedup_lib.in_place import Deleted, TableRows
from dedup_lib.inputs import Inputs, read_inputs
from dedup_lib.lineage import told
from dedup_lib.overlap import check_places, check_report
from dedup_lib.phase_numbers import numbers_of
from dedup_lib.planning import PLAN_SETTINGS, Plan, check_limits, make_plan
from dedup_lib.publish import Staged
from dedup_lib.redaction import redact
from dedup_lib.report import Report
from dedup_lib.run_key import EarlierRun
from dedup_lib.session_settings import (
    RUN_SETTINGS,
    one_run,
    session_settings,
    tuning_settings,
)
from dedup_lib.session_storage import storage_of
from dedup_lib.settings import Settings
from dedup_lib.since_last_run import SinceLastRun
from dedup_lib.spark_context import described_jobs
from dedup_lib.spark_rewrite import Tuning
from dedup_lib.storage import Storage
from dedup_lib.tables import PinnedTable
from dedup_lib.targets import Target
from dedup_lib.version import __version__
from dedup_lib.workspace import Workspace

# What a refusal of a file system means, by phase: an unreadable input, or a failed output.
_STORAGE_ERRORS: dict[str, type[DedupError]] = {"plan": InputError, "apply": DedupError}
# Evaluates a frame once, and returns one that reads what came out.
Materialise = Callable[[DataFrame], DataFrame]
_log = logging.getLogger(__name__)


def run(spark: SparkSession, settings: Settings, *, report: Report | None = None) -> Report:
    """Remove the rows that the removal lists name, and publish what stays.

    Args:
        spark: The session, classic or of Spark Connect; its settings are changed for the time of
            the run and put back. Runs at the same time need a session each
            (`spark.newSession()`).
        settings: What to do.
        report: Filled in as the run goes on, so that a caller has it when the run fails;
            default a new one.

    Returns:
        The report; it is written to `settings.report`, too, on failure as well.

    Raises:
        DedupError: As `dedup_lib.errors` says; nothing is published then, and no row deleted,
            unless the message says so and names the Delta commit.

    *Cost:* two scans of the image IDs and two or three of the lists; then, for a rewrite, one scan
    of the images and a write of those that stay; else one more scan of the IDs.
    """
    report = Report() if report is None else report
    report.describe(settings)
    _warn_of_secrets(settings)
    storage = storage_of(spark, settings.storage_options)
    is_saved = False  # not before it is sure that the report replaces no input
    try:
        with (
            one_run(spark),
            tuning_settings(spark, RUN_SETTINGS),
            described_jobs(spark) as describe,
            report.followed(describe),
        ):
            with storage_errors_as(InputError):
                check_report(spark, storage, settings)
            is_saved = settings.report is not None
            with errors_named(), told(settings, report, storage.canonical):
                _Run(spark, storage, settings, report).execute()
    except BaseException as error:
        report.fail(error)
        if is_saved and settings.report is not None:
            _save_failed(report, settings.report, storage)
        metrics.append(spark, storage, settings, report)
        raise
    try:
        if settings.report is not None:
            report.save(settings.report, storage)
    finally:
        metrics.append(spark, storage, settings, report)
    return report


def _save_failed(report: Report, location: str, storage: Storage) -> None:
    try:
        report.save(location, storage)
    except DedupError as error:  # the error that the run ended in says more
        _log.error("the report could not be written: %s", error)


class _Run:
    """One run: the flow of the README, a step a method."""

    def __init__(
        self, spark: SparkSession, storage: Storage, settings: Settings, report: Report
    ) -> None:
        self.spark = spark
        self.storage = storage
        self.settings = settings
        self.report = report
        self.attempt_id = report.run = new_attempt_id()
        self.workspace = Workspace(spark, storage, settings, self.attempt_id)
        self.fingerprint: str | None = None
        self.since_last_run: SinceLastRun | None = None
        self.tuning: Tuning | None = None
        self.made_for: dict[str, Any] = {}

    def execute(self) -> None:
        with ExitStack() as cleanup:
            with self.phase("plan"):
                check_places(self.spark, self.storage, self.settings)
                self.check_review()
                self.workspace.tidy_up()
                cleanup.enter_context(tuning_settings(self.spark, self.log_settings()))
                if (earlier := self.find_earlier_run()) is not None:
                    self.repeat(earlier, self.read_inputs())
                    return
                find = functools.partial(
                    records.find_target, self.spark, self.storage, self.settings
                )
                location = self.settings.output
                output = None if location is None else find(location)
                record_targets = {
                    name: find(location)
                    for name, location in self.settings.record_locations.items()
                }
                inputs = self.read_inputs()
                self.check_method(inputs.images)
                since = self.since_last_run = self.look_at_last_run(inputs.images, output)
                if since is not None:
                    if (done := since.find_done()) is not None:
                        self.leave_as_it_is(since, done)
                        return
                    since.find_changes()
                attempt = self.workspace.open_attempt(output, inputs.images, cleanup)
                self.choose_engine(inputs.images, output, attempt)
                materialise = self.workspace.materialiser(attempt)
                plan = self.make_plan(inputs, materialise)
                if since is not None:
                    since.compare(plan, materialise)
                self.make_review(plan, inputs)
            if self.settings.dry_run:
                self.keep_records(plan, record_targets)
            with self.phase("check"):
                self.check_limits(plan, inputs, record_targets)
                if since is None or since.difference is None:
                    self.check_gpu(plan)
            if attempt is None:
                self.report.counts["kept_rows"] = plan.kept_rows
                self.report.finish("dry_run")
            elif output is None:
                self.delete_in_place(plan, record_targets)
            elif since is not None and since.difference is not None:
                self.catch_up(plan, since, since.difference)
            else:
                self.make_output(plan, output, record_targets, attempt, cleanup)

    def check_review(self) -> None:
        """Check that a review can be made and written, before any work."""
        if self.settings.review is not None:
            review_page.check_installed()
            review_files.check_review(self.storage, self.settings.review)

    def make_review(self, plan: Plan, inputs: Inputs) -> None:
        """Show the plan, also that of a run which a limit is about to stop."""
        if self.settings.review is not None:
            reviews.make_review(
                self.spark,
                self.storage,
                plan,
                inputs,
                settings=self.settings,
                report=self.report,
            )

    def check_limits(
        self, plan: Plan, inputs: Inputs, record_targets: Mapping[str, Target]
    ) -> None:
        """Check the limits; where one is passed, the IDs that matched nothing may tell why."""
        try:
            if inputs.kept_plan is None:
                check_limits(plan, inputs, self.settings)
            else:
                applied_plans.check_limits(plan, inputs.kept_plan, self.settings)
        except SafetyLimitError:
            if not self.settings.dry_run:
                wanted = {"unmatched_output"} & record_targets.keys()
                self.keep_records(plan, {name: record_targets[name] for name in wanted})
            raise

    def check_gpu(self, plan: Plan) -> None:
        """Find out what a GPU can't run of the rewrite, where one is to."""
        settings, report = self.settings, self.report
        if report.engine != "spark" or not plan.output_rows(settings.action):
            return
        if settings.require_gpu or rewrite.uses_gpu(self.spark):
            self.tuning = self.tune(plan)
            with report.step("ask the accelerator"):
                gpu_check.check_gpu(
                    self.spark, plan.images, self.tuning, settings=settings, report=report
                )

    def tune(self, plan: Plan) -> Tuning:
        """Choose how the `spark` engine goes about it."""
        return rewrite.tune(
            self.spark, self.storage, plan, settings=self.settings, report=self.report
        )

    def make_output(
        self,
        plan: Plan,
        output: Target,
        record_targets: Mapping[str, Target],
        attempt: Attempt,
        cleanup: ExitStack,
    ) -> None:
        """Make the output (of the rows that stay, as a rule), verify it, and publish it."""
        with self.phase("apply"):
            if output.publishing == "marker":
                writing = marked_outputs.open_output(self.storage, output.location, self.attempt_id)
                cleanup.enter_context(writing)
            if self.settings.method == "clone":
                staged = self.clone(plan, output, attempt, cleanup)
            else:
                staged = self.rewrite(plan, output, attempt)
        with self.phase("verify"):
            self.verify(plan, staged)
        with self.phase("publish"):
            self.keep_records(plan, record_targets)
            publish.promote(self.spark, self.storage, staged, attempt, self.note(plan))
            self.finish_records()
        self.report.finish("succeeded")

    def delete_in_place(self, plan: Plan, record_targets: Mapping[str, Target]) -> None:
        """Delete the planned rows from the image table, and verify the commit."""
        column = self.settings.image_id_column
        with self.phase("apply"):
            self.keep_records(plan, record_targets)
            with self.report.step("delete"):
                deleted = in_place.delete_in_place(
                    self.spark,
                    plan,
                    column,
                    note=self.note(plan),
                    run_key=self.settings.run_key,
                    image_settings=lambda: self.image_settings(plan.images, plan.files),
                )
        if deleted is None:  # Delta knows the key: another run was quicker, or long ago
            self.repeat(self.find_earlier_run(), Inputs(plan.images, ()))
            return
        self.finish_records()
        with self.phase("verify"):
            rows = in_place.verify_in_place(self.spark, plan, deleted, column)
            self.note_deleted(plan.images.location, deleted, rows)
        with self.phase("publish"):
            self.purge_in_place(plan.images, plan.files)
        self.report.finish("succeeded")

    def look_at_last_run(self, images: PinnedTable, output: Target | None) -> SinceLastRun | None:
        """Look how far the output has come (--since-last-run)."""
        if not self.settings.since_last_run or output is None:
            return None
        return SinceLastRun(
            self.spark,
            self.settings,
            self.report,
            images=images,
            output=output,
            fingerprint=self.fingerprint,
        )

    def leave_as_it_is(self, since: SinceLastRun, done: Mapping[str, Any]) -> None:
        """Nothing is new: tidy up, and keep the run key, if there is one."""
        self.workspace.tidy_up_beside(
            tables.root_of(self.spark, self.storage, str(self.settings.output))
        )
        if self.settings.run_key is not None:
            kept_rows = done["kept_rows"]
            since.keep_key(self.note_of(done.get("plan"), kept_rows, kept_rows))
        self.report.finish("succeeded")

    def catch_up(self, plan: Plan, since: SinceLastRun, difference: Difference) -> None:
        """Bring the output up to date by its difference, and verify it."""
        with self.phase("apply"):
            tables.check_unchanged(self.storage, plan.images)
            commit = since.commit(
                plan,
                difference,
                self.note(plan),
                image_settings=lambda: self.image_settings(plan.images, plan.files),
            )
        with self.phase("verify"):
            since.verify(plan, commit)
        self.report.finish("succeeded")

    def note_deleted(self, location: str, deleted: Deleted, rows: TableRows) -> None:
        if rows.before != self.report.counts["input_rows"]:
            _log.warning(
                "%r was written to after the plan: IDs of the plan went there, too; other "
                "listed IDs that came with it stay until the next run",
                location,
            )
        self.report.note_deleted(location, deleted.commit, rows.before, rows.after)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        with self.report.phase(name), storage_errors_as(_STORAGE_ERRORS.get(name, PublishError)):
            yield
        numbers = numbers_of(name, self.report, self.settings)
        _log.info("%s took %.1f s: %s", name, self.report.seconds[name], numbers)

    def log_settings(self) -> dict[str, str]:
        """Settings for reading Delta's log, where the run commits to it or to a clone of it."""
        settings = self.settings
        if settings.method == "rewrite" and not settings.since_last_run:
            return {}
        location = settings.output if settings.since_last_run else settings.images
        try:
            root = tables.root_of(self.spark, self.storage, str(location))
        except TableNotFoundError:  # yet to be made
            return {}
        return log_settings(self.spark, self.storage.total_bytes(f"{root}/_delta_log"))

    def find_earlier_run(self) -> EarlierRun | None:
        """Look for a run with the same key; a sweep of eps asks, and is none."""
        settings = self.settings
        location = settings.output or (settings.images if settings.method == "in-place" else None)
        if settings.run_key is None or location is None or settings.eps_values:
            return None
        return run_key.find_earlier_run(self.spark, self.storage, location, settings.run_key)

    def repeat(self, earlier: EarlierRun | None, inputs: Inputs) -> None:
        """Report what a run with the same key did, if it was the same run."""
        settings = self.settings
        earlier = run_key.check_same_run(earlier, settings.run_key, self.fingerprint)
        _log.info("run %r is done already: nothing is applied", settings.run_key)
        self.report.repeat(earlier.note, earlier.version)
        if settings.output is not None:
            run_key.check_repeated(self.spark, earlier)
        elif earlier.commit is not None:
            in_place.check_repeated(inputs.images.location, earlier.commit)
        if settings.dry_run:
            self.report.finish("dry_run")
            return
        self.workspace.tidy_up_beside(tables.root_of(self.spark, self.storage, earlier.location))
        if settings.output is None and settings.purge:
            files = id_scan.count_files(inputs.images, settings.image_id_column)
            self.purge_in_place(inputs.images, files)
        self.finish_records()
        self.report.finish("succeeded")

    def read_inputs(self) -> Inputs:
        settings = self.settings
        with self.report.step("read inputs"):
            inputs = read_inputs(self.spark, self.storage, settings, self.report)
        if settings.run_key is not None or settings.since_last_run:
            with self.report.step("fingerprint lists"):
                self.fingerprint = run_key.fingerprint(
                    self.storage,
                    settings,
                    inputs.images.location,
                    lists=inputs.lists,
                    protected=inputs.protected,
                    plan=None if inputs.kept_plan is None else inputs.kept_plan.digest,
                )
        return inputs

    def check_method(self, images: PinnedTable) -> None:
        """Check that the method can work on this image table, before any work."""
        if self.settings.method == "in-place":
            enable = self.settings.enable_deletion_vectors
            in_place.check_in_place(self.spark, images, may_enable=enable)
        elif self.settings.method == "clone":
            clones.check_clone(self.spark, images)

    def choose_engine(
        self, images: PinnedTable, output: Target | None, attempt: Attempt | None
    ) -> None:
        if self.settings.method == "rewrite":
            with self.report.step("choose engine"):
                rewrite.choose_engine(
                    self.spark,
                    images,
                    self.settings,
                    output=output,
                    attempt=attempt,
                    report=self.report,
                )

    def make_plan(self, inputs: Inputs, materialise: Materialise) -> Plan:
        settings, report = self.settings, self.report
        with tuning_settings(self.spark, PLAN_SETTINGS):
            if inputs.kept_plan is None:
                plan = make_plan(settings, inputs, report, materialise)
            else:
                plan = applied_plans.make_plan(
                    self.spark,
                    inputs.images,
                    inputs.kept_plan,
                    settings=settings,
                    report=report,
                    materialise=materialise,
                )
            if settings.removed_output is not None:
                self.made_for = applied_plans.note_of(self.spark, plan, inputs, settings, report)
        return plan

    def rewrite(self, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write the output's rows, where no reader sees them yet."""
        given: dict[str, Any] = {"settings": self.settings, "report": self.report}
        if self.report.engine == "arrow":
            return rewrite.rewrite_by_arrow(self.spark, plan, output, attempt, **given)
        given |= {"tuning": self.tuning or self.tune(plan), "note": self.note(plan)}
        return rewrite.rewrite_by_spark(self.spark, self.storage, plan, output, attempt, **given)

    def clone(self, plan: Plan, output: Target, attempt: Attempt, cleanup: ExitStack) -> Staged:
        """Clone the image table and delete the planned rows, where no reader sees it yet."""
        if not output.is_renamed:  # its place must last: the output will refer to files there
            base = targets.default_base(self.spark, self.storage, output)
            targets.check_told(base, "use --method rewrite, or give --output as a path.")
            self.workspace.tidy_up_beside(base)
            attempt = cleanup.enter_context(
                companion_directory(self.storage, base, self.attempt_id)
            )
        cloned = clones.make_clone(
            self.spark,
            plan,
            self.settings.image_id_column,
            attempt.staged,
            note=self.note(plan),
            image_settings=lambda: self.image_settings(plan.images, plan.files),
            is_purged=self.settings.purge,
            report=self.report,
        )
        self.report.bytes["output"] = 0
        if cloned.purge is not None:
            self.report.note_purge(dataclasses.asdict(cloned.purge), cloned.purge.added_bytes)
        return Staged(output, attempt.staged, cloned.version, cloned.deletion_vectors)

    def image_settings(self, images: PinnedTable, files: Sequence[FileRows]) -> dict[str, str]:
        with self.report.step("weigh images"):
            is_on_gpu = rewrite.uses_gpu(self.spark)
            return settings_for(self.storage, images, files, is_on_gpu=is_on_gpu)

    def verify(self, plan: Plan, staged: Staged) -> None:
        """Compare what was written with the plan: kept + removed = input, none marked but those."""
        tables.check_unchanged(self.storage, plan.images)
        action, removed_rows = self.settings.action, plan.counts.removed_rows
        found = publish.count_rows(self.spark, self.storage, staged)
        publish.check_rows(staged, expected_rows=plan.output_rows(action), found_rows=found)
        if action == "annotate":
            marked = publish.count_marked(self.spark, staged, IS_DUPLICATE)
            publish.check_rows(staged, expected_rows=removed_rows, found_rows=marked, what="marks")
        self.report.counts["kept_rows"] = plan.kept_rows
        self.report.output = {**publish.describe(staged), "num_rows": found}
        if self.settings.method == "rewrite":
            written = publish.written_bytes(self.spark, self.storage, staged)
            self.report.bytes["output"] = written

    def keep_records(self, plan: Plan, record_targets: Mapping[str, Target]) -> None:
        """Publish what is kept beside the output (--removed-output, --unmatched-output)."""
        for name, target in record_targets.items():
            made_for = self.made_for if name == "removed_output" else {}
            with storage_errors_as(PublishError), self.report.step(f"keep {name}"):
                records.keep(
                    self.spark,
                    self.storage,
                    plan.records[name],
                    target,
                    note=self.note(plan) | made_for,
                    is_unfinished=not self.settings.dry_run,
                )

    def finish_records(self) -> None:
        """Note that what was kept beside the output is that of a run that has published it."""
        for location in self.settings.record_locations.values():
            records.finish(self.storage, location)

    def purge_in_place(self, images: PinnedTable, files: Sequence[FileRows]) -> None:
        """Rewrite what holds hidden rows (--purge), once the deletion has been verified."""
        if self.settings.purge:
            settings = self.image_settings(images, files)
            with self.report.step("purge"), session_settings(self.spark, settings):
                purge = in_place.purge_in_place(self.spark, images.location, self.attempt_id)
            self.report.note_purge(dataclasses.asdict(purge), purge.added_bytes)

    def note(self, plan: Plan) -> dict[str, Any]:
        """What the manifest, or the Delta commit, says of the run."""
        output_rows = plan.output_rows(self.settings.action)
        return self.note_of(plan.counts.digest, plan.kept_rows, output_rows)

    def note_of(self, digest: str | None, kept_rows: int, output_rows: int) -> dict[str, Any]:
        since = self.since_last_run
        return ({} if since is None else since.note_of_all()) | {
            "dedup_lib": __version__,
            "run": self.attempt_id,
            "run_key": self.settings.run_key,
            "fingerprint": self.fingerprint,
            "plan": digest,
            "kept_rows": kept_rows,
            "output_rows": output_rows,
            "counts": self.report.counts,
            "inputs": self.report.hide(self.report.inputs),
        }


def _warn_of_secrets(settings: Settings) -> None:
    lists: list[str | None] = [item.location for item in settings.duplicate_ids]
    lists += [*settings.protect_ids, settings.apply_plan]
    for location in (settings.images, *lists, settings.output):
        if location is not None and redact(location) != location:
            _log.warning(
                "%r holds a secret, which Spark's event log and UI show: leave it out, and give "
                "credentials by Spark's settings",
                redact(location),
            )
