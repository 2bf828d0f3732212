"""What an engine of a format's own must offer: it rewrites the files of a table one by one."""

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
    """An engine that goes from a format to the same format; `parquet.arrow_engine` is one.

    Attributes:
        name: What --engine calls it, and the report.
    """

    name: str

    def why_unusable(
        self, session: Session, images: ImageTable, partial: str | None, settings: Settings
    ) -> DedupError | None:
        """Return why it can't rewrite the table and keep all of it, or None.

        Args:
            session: The session, with its file systems.
            images: The image table.
            partial: The URI of a directory to try to write in; None if nothing may be written.
            settings: What was asked for.
        """

    def write(self, run: RunContext, plan: Plan, output: Target, attempt: Attempt) -> Staged:
        """Write the rows of the output where no reader sees them, below `attempt.staged`."""
