"""A run that does only what is new (--since-last-run): the steps that other runs have not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.delta import catch_up, image_changes, output_state
from dedup_lib.delta.catch_up import Difference
from dedup_lib.delta.history import Commit, count_rows_at
from dedup_lib.delta.image_changes import ImageChanges
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.planning import Plan
from dedup_lib.publish import stage
from dedup_lib.publish.stage import Staged
from dedup_lib.publish.targets import Target
from dedup_lib.report import COUNTS
from dedup_lib.tables import pinned
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.version import __version__

# What decides, beside the fingerprint, whether a run comes to its end, and what it reports.
_ASKED = ("max_removed_fraction", "allow_no_matches", "allow_empty_list", "list_counts")
_log = logging.getLogger(__name__)


class SinceLastRun:
    """Brings an output up to date; to begin with it looks how far that has come."""

    def __init__(self, run: RunContext, images: PinnedTable, output: Target) -> None:
        self._run = run
        self._spark = run.session.spark
        self._report = run.report
        self._images = images
        self._output = output
        self._column = run.settings.image_id_column
        self._changes: ImageChanges | None = None
        asked = {name: getattr(run.settings, name) for name in _ASKED}
        asked |= {"fingerprint": run.fingerprint, "dedup_lib": __version__}
        self._reached = output_state.how_far(run.session.spark, images, self._column, output, asked)
        run.state = self._reached.note_of_all()

    def is_done(self) -> bool:
        """Tell whether nothing is new, so that the output can be left as it is; report that then.

        It is not where the output has other rows than it should.
        """
        state, done = self._reached.state, self._reached.done
        if state is None or done is None or self._run.settings.dry_run:
            return False
        counts, kept_rows = done.get("counts"), done.get("kept_rows")
        if not isinstance(counts, dict) or not isinstance(kept_rows, int):
            return False
        if count_rows_at(self._spark, self._output.location, state.version) != kept_rows:
            return False
        _log.info("no image and no list entry is new since the last run")
        self._report.counts |= {name: counts.get(name) for name in COUNTS}
        self._report.since_last_run = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
        self._note_output(state.version, kept_rows, commit=None)
        self._leave_as_it_is(done.get("plan"), kept_rows)
        return True

    def _leave_as_it_is(self, digest: str | None, kept_rows: int) -> None:
        run = self._run
        run.workspace.tidy_up_beside(pinned.root_of(run.session, str(run.settings.output)))
        if run.settings.run_key is not None:
            self._keep_key(run.note_of(digest, kept_rows, kept_rows))
        run.report.finish("succeeded")

    def _keep_key(self, note: Mapping[str, Any]) -> None:
        """Commit no row, but a note with the run's key, so that its repeat is known."""
        nothing = self._spark.createDataFrame([], self._images.frame.schema)
        note = {**note, **self._reached.note_of_end()}
        commit = catch_up.append_rows(self._spark, self._output.location, nothing, note)
        self._note_output(commit.version, note["kept_rows"], commit)

    def find_changes(self) -> None:
        """Find what is new in the image table, unless the run does all."""
        if self._reached.before is None:
            return
        with self._report.step("find changes"):
            self._changes = image_changes.find_changes(
                self._spark,
                self._images,
                self._column,
                before=self._reached.before,
                now=self._reached.now,
            )

    def compare(
        self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]
    ) -> Difference | None:
        """Find in what the output differs from what is due; None where the run does all."""
        if self._changes is None:
            return None
        with self._report.step("compare with output"):
            difference = catch_up.compare(
                self._spark,
                plan,
                self._changes,
                self._output.location,
                image_id_column=self._column,
                materialise=materialise,
            )
        self._report.since_last_run = difference.described()
        return difference

    def apply(self, plan: Plan, difference: Difference) -> None:
        """Bring the output up to date by its difference, and verify it."""
        run = self._run
        with run.phase("apply"):
            pinned.check_unchanged(run.session.storage, plan.images)
            commit = self._commit(plan, difference)
        with run.phase("verify"):
            version = catch_up.verify(self._spark, plan, self._output.location, commit)
            self._note_output(version, plan.kept_rows, commit)
        run.report.finish("succeeded")

    def _commit(self, plan: Plan, difference: Difference) -> Commit | None:
        """Return the last commit; None where none is needed."""
        run = self._run
        is_known = self._reached.done is not None and run.settings.run_key is None
        if difference.is_empty and is_known:
            return None
        return catch_up.CatchingUp(
            self._spark,
            plan,
            difference,
            self._output.location,
            self._column,
            self._reached,
            note=run.note(plan),
            image_settings=lambda: run.image_settings(plan.images, plan.files),
        ).commit()

    def _note_output(self, version: int, kept_rows: int, commit: Commit | None) -> None:
        described = stage.describe(Staged(self._output, self._output.location, version))
        self._report.output = {**described, "num_rows": kept_rows}
        self._report.counts["kept_rows"] = kept_rows
        self._report.bytes["output"] = 0 if commit is None else commit.written_bytes
