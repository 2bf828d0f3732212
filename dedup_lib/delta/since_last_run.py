"""Method `since-last-run`: update the output with the changes since the last run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.delta import catch_up, output_state
from dedup_lib.delta.catch_up import Difference
from dedup_lib.delta.history import Commit, count_rows_at
from dedup_lib.errors import ImagesChangedError
from dedup_lib.methods.rewrite import Rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.publish import stage
from dedup_lib.report import COUNTS
from dedup_lib.tables.history import ImageChanges, ImagesState
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.read import root_of
from dedup_lib.tables.target import Attempt, Staged, Target
from dedup_lib.version import __version__

# Settings that, like the fingerprint, decide whether a run completes and what it reports.
_ASKED = ("max_removed_fraction", "allow_no_matches", "allow_empty_list", "list_counts")
_log = logging.getLogger(__name__)


class SinceLastRun(Rewrite):
    """Update an output with the changes; if there is no output yet, make it by a full run."""

    name = "since-last-run"

    def __init__(self, run: RunContext, images: ImageTable, output: Target | None) -> None:
        super().__init__(run, images, output)
        if output is None:
            raise TypeError("--since-last-run has an output")
        self._target = output
        self._changes: ImageChanges | None = None
        self._difference: Difference | None = None
        asked = {name: getattr(run.settings, name) for name in _ASKED}
        asked |= {"fingerprint": run.fingerprint, "dedup_lib": __version__}
        now = images.table_format.state(run.session, images)
        self._reached = output_state.how_far(run.session.spark, now, output, asked)
        run.state = self._reached.note_of_all()

    def is_done(self) -> bool:
        """Tell whether nothing is new, so that the output can stay as it is; report that.

        The answer is false if the output has other rows than it should.
        """
        state, done = self._reached.state, self._reached.done
        if state is None or done is None:
            return False
        counts, kept_rows = done.get("counts"), done.get("kept_rows")
        if not isinstance(counts, dict) or not isinstance(kept_rows, int):
            return False
        spark, report = self.run.session.spark, self.run.report
        if count_rows_at(spark, self._target.location, state.version) != kept_rows:
            return False
        _log.info("no image and no list entry is new since the last run")
        report.counts |= {name: counts.get(name) for name in COUNTS}
        report.since_last_run = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
        self._note_output(state.version, kept_rows, commit=None)
        self._leave_as_it_is(done.get("plan"), kept_rows)
        return True

    def _leave_as_it_is(self, digest: str | None, kept_rows: int) -> None:
        run = self.run
        run.workspace.clean_up_beside(root_of(run.session, str(run.settings.output)))
        if run.settings.run_key is not None:
            self._keep_key(run.note_of(digest, kept_rows, kept_rows))
        run.report.finish("succeeded")

    def _keep_key(self, note: Mapping[str, Any]) -> None:
        """Commit a note with the run's key, but no rows, so that a repeat is recognised."""
        spark = self.run.session.spark
        nothing = spark.createDataFrame([], self.images.frame.schema)
        note = {**note, **self._reached.note_of_end()}
        commit = catch_up.append_rows(spark, self._target.location, nothing, note)
        self._note_output(commit.version, note["kept_rows"], commit)

    def prepare(self, attempt: Attempt | None) -> None:
        """Find what is new in the image table, unless it is a full run."""
        if self._reached.before is not None:
            with self.run.step("find changes"):
                self._changes = self._find_changes(self._reached.before, self._reached.now)
        super().prepare(attempt)

    def _find_changes(self, before: ImagesState, now: ImagesState) -> ImageChanges:
        for what, then, today in (
            ("is not the table of the last run", before.location, now.location),
            ("was made again since the last run (Delta's ID)", before.table_id, now.table_id),
            ("had another ID column", before.image_id_column, now.image_id_column),
        ):
            if then != today:
                raise ImagesChangedError(
                    f"image table {self.images.location!r} {what}: {then!r}, now {today!r}. To go "
                    "on, add --output-mode overwrite once, for a full run."
                )
        return self.images.table_format.find_changes(self.run.session, self.images, before, now)

    def compare(self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]) -> None:
        """Find how the output differs from a full run's output, unless it is a full run."""
        if self._changes is None:
            return
        with self.run.step("compare with output"):
            self._difference = catch_up.compare(
                self.run.session.spark,
                plan,
                self._changes,
                self._target.location,
                materialise,
            )
        self.run.report.since_last_run = self._difference.described()

    def check_plan(self, plan: Plan) -> None:
        """Check the plan with the accelerator only for a full run."""
        if self._difference is None:
            super().check_plan(plan)

    def apply(self, plan: Plan) -> None:
        """Update the output by the difference, and verify it."""
        run, difference = self.run, self._difference
        if difference is None:
            super().apply(plan)
            return
        with run.phase("apply"):
            plan.images.table_format.check_unchanged(run.session, plan.images)
            commit = self._commit(plan, difference)
        with run.phase("verify"):
            version = catch_up.verify(run.session.spark, plan, self._target.location, commit)
            self._note_output(version, plan.kept_rows, commit)
        run.report.finish("succeeded")

    def _commit(self, plan: Plan, difference: Difference) -> Commit | None:
        """Make the commits and return the last one; None if no commit is needed."""
        run = self.run
        is_known = self._reached.done is not None and run.settings.run_key is None
        if difference.is_empty and is_known:
            return None
        return catch_up.CatchingUp(
            run.session.spark,
            plan,
            difference,
            self._target.location,
            self._reached,
            note=run.note(plan),
            image_settings=lambda: run.image_settings(plan.images, plan.files),
        ).commit()

    def _note_output(self, version: int, kept_rows: int, commit: Commit | None) -> None:
        report = self.run.report
        described = stage.describe(Staged(self._target, self._target.location, version))
        report.output = {**described, "num_rows": kept_rows}
        report.counts["kept_rows"] = kept_rows
        report.bytes["output"] = 0 if commit is None else commit.written_bytes
