"""How a plan is applied: one class a method, with what it checks before and what it does."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.target import Attempt, Target


class Method:
    """One way to apply a plan; the pipeline calls its methods in the order of this class.

    Attributes:
        run: What the steps of the run share.
        images: The pinned image table.
        output: What is to be written; None where rows go from the image table itself, and in a
            dry run that names no output.
        attempt: The run's own directory; None in a dry run.
    """

    def __init__(self, run: RunContext, images: PinnedTable, output: Target | None) -> None:
        self.run = run
        self.images = images
        self.output = output
        self.attempt: Attempt | None = None

    def check(self) -> None:
        """Check that the method can work on this image table, before any work.

        Raises:
            UnsupportedError: It can't.
        """

    def is_done(self) -> bool:
        """Tell whether there is nothing to do, which is reported then."""
        return False

    def prepare(self, attempt: Attempt | None) -> None:
        """Choose how to go about it, once the run has a directory (None in a dry run)."""
        self.attempt = attempt

    def compare(self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]) -> None:
        """Compare the plan with what is there already; `materialise` evaluates a frame once."""

    def check_plan(self, plan: Plan) -> None:
        """Check that the plan can be applied, once it has passed the safety limits.

        Raises:
            DedupError: It can't.
        """

    def apply(self, plan: Plan) -> None:
        """Apply the plan, verify what came of it, and publish it.

        Raises:
            DedupError: Nothing is published then, unless the message names a commit.
        """
        raise NotImplementedError


class DryRun(Method):
    """Plan and check as another method would, and write no image."""

    def __init__(self, method: Method) -> None:
        super().__init__(method.run, method.images, method.output)
        self.method = method

    def check(self) -> None:
        """Check what the method checks."""
        self.method.check()

    def prepare(self, attempt: Attempt | None) -> None:
        """Prepare as the method does."""
        self.method.prepare(None)

    def compare(self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]) -> None:
        """Compare as the method does."""
        self.method.compare(plan, materialise)

    def check_plan(self, plan: Plan) -> None:
        """Check what the method checks, once the records are kept."""
        self.method.check_plan(plan)

    def apply(self, plan: Plan) -> None:
        """Report what would be done."""
        self.run.report.counts["kept_rows"] = plan.kept_rows
        self.run.report.finish("dry_run")
