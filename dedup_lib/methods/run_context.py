"""The values that the steps of a run share: its session, settings, report and name."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dedup_lib.errors import DedupError, InputError, PublishError
from dedup_lib.methods import records
from dedup_lib.methods.gpu import uses_gpu
from dedup_lib.methods.phase_numbers import numbers_of
from dedup_lib.methods.tuning import settings_for
from dedup_lib.plan.plan import Plan
from dedup_lib.publish.attempts import new_attempt_id
from dedup_lib.publish.workspace import Workspace
from dedup_lib.report import Report
from dedup_lib.session.failures import storage_errors_as
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.target import Target
from dedup_lib.version import __version__

# The error class for a file system error, by phase: an unreadable input, or a failed output.
_STORAGE_ERRORS: dict[str, type[DedupError]] = {"plan": InputError, "apply": DedupError}
_log = logging.getLogger(__name__)


class RunContext:
    """The values that the steps of one run share.

    Attributes:
        step: Times a step of a phase.
        attempt_id: The name of the run.
        workspace: The hidden directories of the run.
        fingerprint: The fingerprint of its settings and inputs, if one is needed.
        record_targets: The targets of its records, by the names of the settings. They are set in
            the plan phase.
        made_for: For a kept plan: the note on the table and lists that it was made for.
        state: The progress of the output, for the note of its commit (--since-last-run).
    """

    def __init__(self, session: Session, settings: Settings, report: Report) -> None:
        self.session = session
        self.settings = settings
        self.report = report
        self.step = report.progress.step
        self.attempt_id = report.run = new_attempt_id()
        self.workspace = Workspace(session, settings, self.attempt_id)
        self.fingerprint: str | None = None
        self.record_targets: Mapping[str, Target] = {}
        self.made_for: Mapping[str, Any] = {}
        self.state: Mapping[str, Any] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one of the run's phases, and log its numbers at its end."""
        with (
            self.report.progress.phase(name),
            storage_errors_as(_STORAGE_ERRORS.get(name, PublishError)),
        ):
            yield
        numbers = numbers_of(name, self.report, self.settings)
        _log.info("%s took %.1f s: %s", name, self.report.seconds[name], numbers)

    def find_target(self, location: str) -> Target:
        """Examine a location that the run will write to."""
        return records.find_target(self.session, self.settings, location)

    def keep_records(self, plan: Plan, *names: str) -> None:
        """Publish the records with the given names; all records if no name is given."""
        for name, target in self.record_targets.items():
            if names and name not in names:
                continue
            made_for = self.made_for if name == "removed_output" else {}
            with storage_errors_as(PublishError), self.step(f"keep {name}"):
                records.keep(
                    self.session,
                    plan.records[name],
                    target,
                    note={**self.note(plan), **made_for},
                    is_unfinished=not self.settings.dry_run,
                )

    def finish_records(self) -> None:
        """Note in the records that the run has published its output."""
        for location in self.settings.record_locations.values():
            records.finish(self.session, location)

    def image_settings(self, images: PinnedTable, files: Sequence[FileRows]) -> dict[str, str]:
        """Choose the session settings for reading and writing images."""
        with self.step("weigh images"):
            is_on_gpu = uses_gpu(self.session.spark)
            return settings_for(self.session, images, files, is_on_gpu=is_on_gpu)

    def note(self, plan: Plan) -> dict[str, Any]:
        """Return the note on the run for the manifest or the Delta commit."""
        output_rows = plan.output_rows(self.settings.action)
        return self.note_of(plan.counts.digest, plan.kept_rows, output_rows)

    def note_of(self, digest: str | None, kept_rows: int, output_rows: int) -> dict[str, Any]:
        """Return the same note if only these values of a plan are known."""
        return {
            **self.state,
            "dedup_lib": __version__,
            "run": self.attempt_id,
            "run_key": self.settings.run_key,
            "fingerprint": self.fingerprint,
            "plan": digest,
            "kept_rows": kept_rows,
            "output_rows": output_rows,
            "counts": self.report.counts,
            "inputs": self.report.hide(self.report.inputs),
        }
