"""A run that does only what is new (--since-last-run): the steps that other runs have not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from dedup_lib import catch_up, image_changes, publish, run_state
from dedup_lib.catch_up import Difference
from dedup_lib.delta_history import Commit, count_rows_at
from dedup_lib.image_changes import ImageChanges
from dedup_lib.planning import Plan
from dedup_lib.publish import Staged
from dedup_lib.report import COUNTS, Report
from dedup_lib.settings import Settings
from dedup_lib.tables import PinnedTable
from dedup_lib.targets import Target
from dedup_lib.version import __version__

# What decides, beside the fingerprint, whether a run comes to its end, and what it reports.
_ASKED = ("max_removed_fraction", "allow_no_matches", "allow_empty_list", "list_counts")
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
        asked = {name: getattr(settings, name) for name in _ASKED}
        asked |= {"fingerprint": fingerprint, "dedup_lib": __version__}
        self._reached = run_state.how_far(spark, images, self._column, output, asked)

    def find_done(self) -> Mapping[str, Any] | None:
        """Return what the last run says of itself, if it did just this; report that.

        None where there is something to do, or the output has other rows than it should.
        """
        state, done = self._reached.state, self._reached.done
        if state is None or done is None or self._settings.dry_run:
            return None
        counts, kept_rows = done.get("counts"), done.get("kept_rows")
        if not isinstance(counts, dict) or not isinstance(kept_rows, int):
            return None
        if count_rows_at(self._spark, self._output.location, state.version) != kept_rows:
            return None
        _log.info("no image and no list entry is new since the last run")
        self._report.counts |= {name: counts.get(name) for name in COUNTS}
        self._report.since_last_run = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
        self._note_output(state.version, kept_rows, commit=None)
        return done

    def keep_key(self, note: Mapping[str, Any]) -> None:
        """Commit no row, but a note with the run's key, so that its repeat is known."""
        nothing = self._spark.createDataFrame([], self._images.frame.schema)
        note = {**note, **self._reached.note_of_end()}
        commit = catch_up.append_rows(self._spark, self._output.location, nothing, note)
        self._note_output(commit.version, note["kept_rows"], commit)

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
        is_known = self._reached.done is not None and self._settings.run_key is None
        if difference.is_empty and is_known:
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
