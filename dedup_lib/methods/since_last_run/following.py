"""Method `since-last-run`: update the output with the changes since the last run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.errors import ImagesChangedError
from dedup_lib.methods.rewrite import Rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.methods.since_last_run import difference, output_state
from dedup_lib.methods.since_last_run.difference import Difference
from dedup_lib.methods.since_last_run.output_state import Reached
from dedup_lib.plan.plan import Plan
from dedup_lib.publish import stage
from dedup_lib.report import COUNTS
from dedup_lib.tables.history import ImageChanges, ImagesState, Operation
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.read import root_of
from dedup_lib.tables.target import Attempt, Staged, Target
from dedup_lib.version import __version__

# Settings that, like the fingerprint, decide whether a run completes and what it reports.
_ASKED = ("max_removed_fraction", "allow_no_matches", "allow_empty_list", "list_counts")
_log = logging.getLogger(__name__)


class SinceLastRun(Rewrite):
    """Update an output with the changes; if there is no output yet, make it by a full run.

    A format with commits derives its own class. It overrides `write` if it can stage the difference
    where no reader sees it, otherwise `apply`.

    Attributes:
        reached_class: The class of the output's progress.
        changing_no_row: How the names of the format's operations begin that change no row; in
            upper case.
        target: The output.
        reached: The progress of the output.
        difference: How the output differs from that of a full run; None before `compare`, and in a
            full run.
    """

    name = "since-last-run"
    reached_class: type[Reached] = Reached
    changing_no_row: tuple[str, ...] = ()

    def __init__(self, run: RunContext, images: ImageTable, output: Target | None) -> None:
        super().__init__(run, images, output)
        if output is None:
            raise TypeError("--since-last-run has an output")
        self.target = output
        self._changes: ImageChanges | None = None
        self.difference: Difference | None = None
        asked = {name: getattr(run.settings, name) for name in _ASKED}
        asked |= {"fingerprint": run.fingerprint, "dedup_lib": __version__}
        now = images.table_format.state(run.session, images)
        self.reached = output_state.how_far(
            self.reached_class,
            now,
            output,
            asked,
            lambda: output_state.state_of(self.read_commits(), self.changing_no_row),
        )
        run.state = self.reached.note_of_all()

    # What a format supplies

    def read_commits(self) -> Sequence[Operation]:
        """Read the output's commits, newest first, as far back as its history is kept."""
        raise NotImplementedError

    def read_output(self) -> DataFrame:
        """Read the output's rows, lazily."""
        raise NotImplementedError

    def count_rows_at(self, version: int) -> int:
        """Count the rows of a version of the output."""
        raise NotImplementedError

    def keep_note(self, note: Mapping[str, Any]) -> None:
        """Commit a note, but no rows, and report the output."""
        raise NotImplementedError

    # The steps of a run

    def is_done(self) -> bool:
        """Tell whether nothing is new, so that the output can stay as it is; report that.

        The answer is false if the output has other rows than it should.
        """
        state, done = self.reached.state, self.reached.done
        if state is None or done is None or state.version is None:
            return False
        counts, kept_rows = done.get("counts"), done.get("kept_rows")
        if not isinstance(counts, dict) or not isinstance(kept_rows, int):
            return False
        if self.count_rows_at(state.version) != kept_rows:
            return False
        _log.info("no image and no list entry is new since the last run")
        report = self.run.report
        report.counts |= {name: counts.get(name) for name in COUNTS}
        report.since_last_run = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
        self.note_output(state.version, kept_rows, written_bytes=0)
        self._leave_as_it_is(done.get("plan"), kept_rows)
        return True

    def _leave_as_it_is(self, digest: str | None, kept_rows: int) -> None:
        run = self.run
        run.workspace.clean_up_beside(root_of(run.session, str(run.settings.output)))
        if run.settings.run_key is not None:  # so that a repeat is recognised
            note = run.note_of(digest, kept_rows, kept_rows)
            self.keep_note({**note, **self.reached.note_of_end()})
        run.report.finish("succeeded")

    def prepare(self, attempt: Attempt | None) -> None:
        """Find what is new in the image table, unless it is a full run."""
        if self.reached.before is not None:
            with self.run.step("find changes"):
                self._changes = self._find_changes(self.reached.before, self.reached.now)
        super().prepare(attempt)

    def _find_changes(self, before: ImagesState, now: ImagesState) -> ImageChanges:
        for what, then, today in (
            ("is not the table of the last run", before.location, now.location),
            ("was made again since the last run (its ID)", before.table_id, now.table_id),
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
            self.difference = difference.compare(
                plan, self._changes, self.target.location, self.read_output(), materialise
            )
        self.run.report.since_last_run = self.difference.described()

    def check_plan(self, plan: Plan) -> None:
        """Check the plan with the accelerator only for a full run."""
        if self.difference is None:
            super().check_plan(plan)

    def note_output(self, version: int, kept_rows: int, *, written_bytes: int) -> None:
        """Report the version of the output that has the rows to keep."""
        report = self.run.report
        described = stage.describe(Staged(self.target, self.target.location, version))
        report.output = {**described, "num_rows": kept_rows}
        report.counts["kept_rows"] = kept_rows
        report.bytes["output"] = written_bytes
