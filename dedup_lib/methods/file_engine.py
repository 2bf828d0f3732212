"""The interface of an engine that rewrites the files of one table format one by one."""

from __future__ import annotations

from typing import Protocol

from dedup_lib.errors import DedupError
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt, Staged, Target


class FileEngine(Protocol):
    """An engine that rewrites a table into the same format, such as `parquet.arrow_engine`.

    Attributes:
        name: The name in --engine and in the report.
    """

    name: str

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why the engine can't rewrite the table without loss, or None.

        Args:
            session: The session, with its file systems.
            images: The image table.
            partial: The URI of a directory for a trial write; None if the run may not write.
            settings: The settings of the run.
        """

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write the rows of the output where no reader sees them, below `attempt.staged`."""
