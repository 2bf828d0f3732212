"""The base class of the methods that apply a plan, and the dry run."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt, Target


class Method:
    """One way to apply a plan. The pipeline calls the functions in the order of this class.

    Attributes:
        run: The values that the steps of the run share.
        images: The pinned image table.
        output: The target to write. None if rows are removed from the image table itself, and in a
            dry run without an output.
        attempt: The run's directory; None in a dry run.
    """

    def __init__(self, run: RunContext, images: ImageTable, output: Target | None) -> None:
        self.run = run
        self.images = images
        self.output = output
        self.attempt: Attempt | None = None

    def check(self) -> None:
        """Check, before any work, that the method supports this image table.

        Raises:
            UnsupportedError: The method does not support it.
        """

    def is_done(self) -> bool:
        """Tell whether there is nothing to do, and report that."""
        return False

    def prepare(self, attempt: Attempt | None) -> None:
        """Choose how to do the work, once the run has a directory (None in a dry run)."""
        self.attempt = attempt

    def compare(self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]) -> None:
        """Compare the plan with the existing output; `materialise` evaluates a frame once."""

    def check_plan(self, plan: Plan) -> None:
        """Check that the plan can be applied, after it has passed the safety limits.

        Raises:
            DedupError: The plan can't be applied.
        """

    def apply(self, plan: Plan) -> None:
        """Apply the plan, verify the result, and publish it.

        Raises:
            DedupError: A step failed. Nothing is published, unless the message names a commit.
        """
        raise NotImplementedError


class DryRun(Method):
    """Plan and check as another method does, but write no image."""

    def __init__(self, method: Method) -> None:
        super().__init__(method.run, method.images, method.output)
        self.method = method

    def check(self) -> None:
        """Check as the method does."""
        self.method.check()

    def prepare(self, attempt: Attempt | None) -> None:
        """Prepare as the method does."""
        self.method.prepare(None)

    def compare(self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]) -> None:
        """Compare as the method does."""
        self.method.compare(plan, materialise)

    def check_plan(self, plan: Plan) -> None:
        """Check the plan as the method does, after the records are kept."""
        self.method.check_plan(plan)

    def apply(self, plan: Plan) -> None:
        """Report the counts that the method would give."""
        self.run.report.counts["kept_rows"] = plan.kept_rows
        self.run.report.finish("dry_run")
