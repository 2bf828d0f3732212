"""The base class of the methods that make a new output: apply, verify, publish."""

from __future__ import annotations

from contextlib import ExitStack

from dedup_lib.methods.method import Method
from dedup_lib.plan import id_scan
from dedup_lib.plan.plan import Plan
from dedup_lib.publish import marker, stage
from dedup_lib.session.conf import SCAN_SETTINGS, tuned_for_rows, tuning_settings
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import Attempt, Staged, Target


class NewOutput(Method):
    """Make an output where no reader sees it, verify it, and publish it."""

    def write(self, plan: Plan, output: Target, attempt: Attempt, cleanup: ExitStack) -> Staged:
        """Write the output's rows where no reader sees them; `cleanup` ends after publishing."""
        raise NotImplementedError

    def apply(self, plan: Plan) -> None:
        """Make the output, verify it, and publish it."""
        run, output, attempt = self.run, self.output, self.attempt
        if output is None or attempt is None:
            raise TypeError("an output that is to be made has a target and an attempt")
        with ExitStack() as cleanup:
            with run.phase("apply"):
                if output.is_marked:
                    storage = run.session.storage
                    cleanup.enter_context(
                        marker.open_output(storage, output.location, run.attempt_id)
                    )
                staged = self.write(plan, output, attempt, cleanup)
                written = format_named(output.format)
                cleanup.callback(written.discard, run.session, staged, attempt)
            few_rows = tuned_for_rows(run.session.spark, plan.image_ids.num_rows)
            with run.phase("verify"), few_rows:
                self.verify(plan, staged)
            with run.phase("publish"):
                run.keep_records(plan)
                written.promote(run.session, staged, attempt, run.note(plan))
                run.finish_records()
            run.report.finish("succeeded")

    def verify(self, plan: Plan, staged: Staged) -> None:
        """Check that the input is unchanged, and compare the output with the plan.

        The number of rows must be the plan's; with `annotate`, also the number of marked rows. So
        must the IDs.
        """
        run, action = self.run, self.run.settings.action
        plan.images.table_format.check_unchanged(run.session, plan.images)
        written = format_named(staged.target.format)
        found = written.count_rows(run.session, staged)
        stage.check_rows(staged, expected_rows=plan.output_rows(action), found_rows=found)
        if action == "annotate":
            removed_rows = plan.counts.removed_rows
            with tuning_settings(run.session.spark, SCAN_SETTINGS):
                marked = written.count_marked(run.session, staged)
            stage.check_rows(staged, expected_rows=removed_rows, found_rows=marked, what="marks")
        if self.ids_are_unverified:
            self._compare_ids(plan, staged)
        run.report.counts["kept_rows"] = plan.kept_rows
        run.report.output = {**stage.describe(staged), "num_rows": found}
        self.note_written(staged)

    @property
    def ids_are_unverified(self) -> bool:
        """Whether no step before the verification compares the output's IDs with the plan."""
        return False

    def _compare_ids(self, plan: Plan, staged: Staged) -> None:
        """Compare a hash of the output's IDs with the plan.

        *Cost:* one scan of the output's IDs; one pass over the plan, and one over the ID table.
        """
        run, images, action = self.run, plan.images, self.run.settings.action
        with run.step("compare IDs"), tuning_settings(run.session.spark, SCAN_SETTINGS):
            expected = 0 if action == "extract" else id_scan.hash_of_all(images, plan.files)
            if action != "annotate":
                removed = plan.hash_of_removed()
                expected = removed if action == "extract" else expected - removed
            field = images.frame.schema[images.id_column]
            written = format_named(staged.target.format).read_column(run.session, staged, field)
            stage.check_ids(staged, are_same=id_scan.hash_of(written) == expected)

    def note_written(self, staged: Staged) -> None:
        """Note in the report how many bytes were written."""
