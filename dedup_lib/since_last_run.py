"""A run that does only what is new (--since-last-run): the steps that other runs have not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from dedup_lib import catch_up, image_changes, publish, run_state
from dedup_lib.catch_up import Difference
from dedup_lib.delta_history import Commit, count_rows_at
from dedup_lib.delta_tables import delta_version
from dedup_lib.image_changes import ImageChanges
from dedup_lib.planning import Plan
from dedup_lib.publish import Staged
from dedup_lib.report import Report
from dedup_lib.settings import Settings
from dedup_lib.tables import PinnedTable
from dedup_lib.targets import Target

_log = logging.getLogger(__name__)


class SinceLastRun:
    """Brings an output up to date; to begin with it looks how far that has come.

    Attributes:
        difference: In what the output differs from what is due, once they are compared; None where
            the run does all.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        report: Report,
        *,
        images: PinnedTable,
        output: Target,
        fingerprint: str | None,
    ) -> None:
        self.difference: Difference | None = None
        self._spark = spark
        self._settings = settings
        self._report = report
        self._images = images
        self._output = output
        self._column = settings.image_id_column
        self._changes: ImageChanges | None = None
        self._reached = run_state.how_far(spark, images, self._column, output, fingerprint)

    def has_nothing_to_do(self) -> bool:
        """Tell whether the last run did just this and the output still has it; report that."""
        done = self._reached.done
        if done is None or self._settings.dry_run or self._settings.record_locations:
            return False
        version = delta_version(self._spark, self._output.location)
        if count_rows_at(self._spark, self._output.location, version) != done["kept_rows"]:
            return False
        _log.info("no image and no list entry is new since the last run")
        self._report.counts |= done["counts"]
        self._report.since_last_run = catch_up.NO_DIFFERENCE
        self._note_output(version, done["kept_rows"], commit=None)
        return True

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

    def compare(self, plan: Plan, materialise: Callable[[DataFrame], DataFrame]) -> None:
        """Find what the output lacks, and what it has and should not."""
        if self._changes is None:
            return
        with self._report.step("compare with output"):
            self.difference = catch_up.compare(
                self._spark,
                plan,
                self._changes,
                self._output.location,
                image_id_column=self._column,
                materialise=materialise,
            )
        self._report.since_last_run = self.difference.described()

    def commit(
        self,
        plan: Plan,
        difference: Difference,
        note: Mapping[str, Any],
        image_settings: Callable[[], Mapping[str, str]],
    ) -> Commit | None:
        """Bring the output up to date; return the last commit, None where none is needed."""
        if difference.is_empty and self._reached.done is not None:
            return None
        return catch_up.CatchingUp(
            self._spark,
            plan,
            difference,
            self._output.location,
            self._column,
            self._reached,
            note=note,
            image_settings=image_settings,
        ).commit()

    def verify(self, plan: Plan, commit: Commit | None) -> None:
        """Compare the output's rows with those that the plan keeps, and report them."""
        version = catch_up.verify(self._spark, plan, self._output.location, commit)
        self._note_output(version, plan.kept_rows, commit)

    def note_of_all(self) -> dict[str, Any]:
        """Return what the commit of a run that does all says of how far the output has come."""
        return self._reached.note_of_all()

    def _note_output(self, version: int, kept_rows: int, commit: Commit | None) -> None:
        described = publish.describe(Staged(self._output, self._output.location, version))
        self._report.output = {**described, "num_rows": kept_rows}
        self._report.counts["kept_rows"] = kept_rows
        self._report.bytes["output"] = 0 if commit is None else commit.written_bytes
