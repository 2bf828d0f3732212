"""Methods `rewrite` and `clone`, from the plan on: apply, verify, publish."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from typing import Any

from dedup_lib.delta import clone
from dedup_lib.executor.annotated_rows import IS_DUPLICATE
from dedup_lib.methods import rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.methods.spark_engine import Tuning
from dedup_lib.plan.planning import Plan
from dedup_lib.publish import marker, stage, targets
from dedup_lib.publish.attempts import Attempt, companion_directory
from dedup_lib.publish.stage import Staged
from dedup_lib.publish.targets import Target
from dedup_lib.tables import pinned


class OutputMaker:
    """Makes an output (of the rows that stay, as a rule) where no reader sees it, then shows it."""

    def __init__(
        self, run: RunContext, output: Target, attempt: Attempt, tuning: Tuning | None
    ) -> None:
        self.run = run
        self.output = output
        self.attempt = attempt
        self.tuning = tuning

    def apply(self, plan: Plan) -> None:
        """Make the output, verify it, and publish it."""
        run, output = self.run, self.output
        with ExitStack() as cleanup:
            with run.phase("apply"):
                if output.publishing == "marker":
                    writing = marker.open_output(
                        run.session.storage, output.location, run.attempt_id
                    )
                    cleanup.enter_context(writing)
                if run.settings.method == "clone":
                    staged = self.clone(plan, cleanup)
                else:
                    staged = self.rewrite(plan)
            with run.phase("verify"):
                self.verify(plan, staged)
            with run.phase("publish"):
                run.keep_records(plan)
                stage.promote(run.session, staged, self.attempt, run.note(plan))
                run.finish_records()
            run.report.finish("succeeded")

    def rewrite(self, plan: Plan) -> Staged:
        """Write the output's rows, where no reader sees them yet."""
        run, output, attempt = self.run, self.output, self.attempt
        given: dict[str, Any] = {"settings": run.settings, "report": run.report}
        if run.report.engine == "arrow":
            return rewrite.rewrite_by_arrow(run.session.spark, plan, output, attempt, **given)
        tuning = self.tuning or rewrite.tune(run.session, plan, **given)
        given |= {"tuning": tuning, "note": run.note(plan)}
        return rewrite.rewrite_by_spark(run.session, plan, output, attempt, **given)

    def clone(self, plan: Plan, cleanup: ExitStack) -> Staged:
        """Clone the image table and delete the planned rows, where no reader sees it yet."""
        run, output, attempt = self.run, self.output, self.attempt
        if not output.is_renamed:  # its place must last: the output will refer to files there
            base = targets.default_base(run.session, output)
            targets.check_told(base, "use --method rewrite, or give --output as a path.")
            run.workspace.tidy_up_beside(base)
            companion = companion_directory(run.session.storage, base, run.attempt_id)
            attempt = cleanup.enter_context(companion)
        cloned = clone.make_clone(
            run.session.spark,
            plan,
            run.settings.image_id_column,
            attempt.staged,
            note=run.note(plan),
            image_settings=lambda: run.image_settings(plan.images, plan.files),
            is_purged=run.settings.purge,
            report=run.report,
        )
        run.report.bytes["output"] = 0
        if cloned.purge is not None:
            run.report.note_purge(dataclasses.asdict(cloned.purge), cloned.purge.added_bytes)
        return Staged(output, attempt.staged, cloned.version, cloned.deletion_vectors)

    def verify(self, plan: Plan, staged: Staged) -> None:
        """Compare what was written with the plan: kept + removed = input, none marked but those."""
        run, action = self.run, self.run.settings.action
        pinned.check_unchanged(run.session.storage, plan.images)
        found = stage.count_rows(run.session, staged)
        stage.check_rows(staged, expected_rows=plan.output_rows(action), found_rows=found)
        if action == "annotate":
            removed_rows = plan.counts.removed_rows
            marked = stage.count_marked(run.session.spark, staged, IS_DUPLICATE)
            stage.check_rows(staged, expected_rows=removed_rows, found_rows=marked, what="marks")
        run.report.counts["kept_rows"] = plan.kept_rows
        run.report.output = {**stage.describe(staged), "num_rows": found}
        if run.settings.method == "rewrite":
            written = stage.written_bytes(run.session, staged)
            run.report.bytes["output"] = written
