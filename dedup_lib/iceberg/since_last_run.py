"""Method `since-last-run` with an Iceberg output: on a branch, verified, then published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from pyspark.sql import DataFrame

from dedup_lib.iceberg import branch as branches
from dedup_lib.iceberg import delete, in_place, output, output_schema
from dedup_lib.iceberg.branch import Branch
from dedup_lib.iceberg.detail import full_name, read_detail
from dedup_lib.iceberg.history import read_snapshots
from dedup_lib.methods.since_last_run.difference import Difference, due_rows, no_rows
from dedup_lib.methods.since_last_run.following import SinceLastRun
from dedup_lib.methods.since_last_run.output_state import deletion_name
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import tuning_settings
from dedup_lib.tables.history import Operation
from dedup_lib.tables.target import Attempt, Staged, Target


class IcebergSinceLastRun(SinceLastRun):
    """Update an Iceberg output on a branch, by up to two commits that are published together.

    The branch begins with the snapshot that was compared, and is published only if main is still
    there. So no other writer can come between.
    """

    changing_no_row = ("REPLACE",)  # a compaction

    def check(self) -> None:
        """Check that the output can be updated."""
        if self.reached.before is not None:
            schema = self.images.frame.schema
            output_schema.check_can_follow(self.run.session.spark, self.target.location, schema)

    def read_commits(self) -> Sequence[Operation]:
        """Read the snapshots of main."""
        spark = self.run.session.spark
        return read_snapshots(spark, full_name(spark, self.target.location)).operations()

    def read_output(self) -> DataFrame:
        """Read the snapshot that main names."""
        return output.read_staged(self.run.session.spark, self._found(self.target.version))

    def count_rows_at(self, version: int) -> int:
        """Count the rows of a snapshot."""
        return output.read_staged(self.run.session.spark, self._found(version)).count()

    def keep_note(self, note: Mapping[str, Any]) -> None:
        """Publish a snapshot that changes no row."""
        spark, attempt = self.run.session.spark, Attempt(self.run.attempt_id, "")
        with output.open_branch(spark, self.target, attempt) as branch:
            staged = self._append(branch, no_rows(self.images), note, {})
        try:
            output.promote(self.run.session, staged, attempt, note)
        finally:
            output.discard(self.run.session, staged, attempt)
        self.note_output(staged.version or 0, note["kept_rows"], written_bytes=0)

    def write(self, plan: Plan, output: Target, attempt: Attempt, cleanup: ExitStack) -> Staged:
        """Write the difference to a branch, unless it is a full run.

        Even if there is no difference, a snapshot notes how far the output is now.
        """
        if self.difference is None:
            return super().write(plan, output, attempt, cleanup)
        return self._stage(plan, self.difference, attempt)

    def _stage(self, plan: Plan, difference: Difference, attempt: Attempt) -> Staged:
        run, spark = self.run, self.run.session.spark
        note = {**run.note(plan), **self.reached.note_of_end()}
        branches.drop_left_behind(spark, full_name(spark, self.target.location))
        with output.open_branch(spark, self.target, attempt) as branch:
            if difference.deleted_ids:
                with run.step("delete"):
                    self._delete(plan, difference, branch, note)
            settings = run.image_settings(plan.images, plan.files)
            with run.step("append"), tuning_settings(spark, settings):
                return self._append(branch, due_rows(plan, difference), note, settings)

    def _delete(
        self, plan: Plan, difference: Difference, branch: Branch, note: Mapping[str, Any]
    ) -> None:
        """Delete the rows that the output should not have, by positions: no image is written."""
        spark, detail = self.run.session.spark, read_detail(self.run.session.spark, branch.location)
        if not in_place.has_merge_on_read(detail):
            in_place.enable_merge_on_read(spark, detail)
        name = {"run": deletion_name(note["run"]), "run_key": None}
        delete.delete_ids(
            spark,
            branch,
            plan,
            {**note, **self.reached.note_of_deletion(), **name},
            removed_ids=difference.ids.where("is_deleted").select("image_id"),
            num_rows=difference.deleted_ids,
        )

    def _append(
        self,
        branch: Branch,
        rows: DataFrame,
        note: Mapping[str, Any],
        settings: Mapping[str, str],
    ) -> Staged:
        spark, writer = self.run.session.spark, rows.write.mode("append")
        return output.write_rows(spark, self.target, branch, writer, note=note, settings=settings)

    def note_written(self, staged: Staged) -> None:
        """Note the size of the appended files; of all files after a full run."""
        if self.difference is None:
            super().note_written(staged)
            return
        spark = self.run.session.spark
        snapshots = read_snapshots(spark, full_name(spark, self.target.location))
        summary = snapshots.by_id[staged.version or 0].summary
        self.run.report.bytes["output"] = int(summary.get("added-files-size", 0))

    def _found(self, version: int | None) -> Staged:
        """Return a snapshot of main that was there before."""
        return Staged(self.target, self.target.location, version)
