"""The base class of the methods that make a new output: apply, verify, publish."""

from __future__ import annotations

from contextlib import ExitStack

from dedup_lib.executor.annotated_rows import IS_DUPLICATE
from dedup_lib.methods.method import Method
from dedup_lib.plan.plan import Plan
from dedup_lib.publish import marker, stage
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
            with run.phase("verify"):
                self.verify(plan, staged)
            with run.phase("publish"):
                run.keep_records(plan)
                written = format_named(output.format)
                written.promote(run.session, staged, attempt, run.note(plan))
                run.finish_records()
            run.report.finish("succeeded")

    def verify(self, plan: Plan, staged: Staged) -> None:
        """Check that the input is unchanged, and compare the output with the plan.

        The number of rows must be the plan's; with `annotate`, also the number of marked rows.
        """
        run, action = self.run, self.run.settings.action
        plan.images.table_format.check_unchanged(run.session, plan.images)
        written = format_named(staged.target.format)
        found = written.count_rows(run.session, staged)
        stage.check_rows(staged, expected_rows=plan.output_rows(action), found_rows=found)
        if action == "annotate":
            removed_rows = plan.counts.removed_rows
            marked = written.count_true_rows(run.session, staged, IS_DUPLICATE)
            stage.check_rows(staged, expected_rows=removed_rows, found_rows=marked, what="marks")
        run.report.counts["kept_rows"] = plan.kept_rows
        run.report.output = {**stage.describe(staged), "num_rows": found}
        self.note_written(staged)

    def note_written(self, staged: Staged) -> None:
        """Note in the report how many bytes were written."""
