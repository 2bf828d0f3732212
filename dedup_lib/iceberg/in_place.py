"""Method `in-place`: delete the planned rows on a branch of the Iceberg table, verify, publish."""

from __future__ import annotations

import logging

from pyspark.sql import SparkSession

from dedup_lib.errors import ConflictError, PlanOutdatedError, UnsupportedError, VerificationError
from dedup_lib.iceberg import branch, delete
from dedup_lib.iceberg.bad_tables import check_extensions
from dedup_lib.iceberg.detail import MAIN, Detail, detail_of
from dedup_lib.iceberg.history import Snapshot, read_snapshots
from dedup_lib.iceberg.purge import purge
from dedup_lib.methods import repeats
from dedup_lib.methods.method import Method
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.plan import Plan
from dedup_lib.publish.owners import note_without_result
from dedup_lib.tables.history import EarlierRun
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Attempt

DELETE_MODE = "write.delete.mode"
MERGE_ON_READ = "merge-on-read"
_log = logging.getLogger(__name__)


class InPlace(Method):
    """Delete the planned rows on a branch, and publish the branch once it is verified."""

    name = "in-place"

    def check(self) -> None:
        """Check that rows of the image table can be deleted; write nothing."""
        may_enable = self.run.settings.enable_deletion_vectors
        check_deletes(self.run.session.spark, self.images, may_enable=may_enable)

    def prepare(self, attempt: Attempt | None) -> None:
        """Drop the branches that killed runs left; a dry run (None) writes nothing."""
        super().prepare(attempt)
        if attempt is not None:
            branch.drop_left_behind(self.run.session.spark, detail_of(self.images).name)

    def apply(self, plan: Plan) -> None:
        """Delete, verify and publish. If another run with the key was faster, report its result."""
        run = self.run
        published: Snapshot | None = None
        if plan.counts.removed_rows == 0:
            with run.phase("apply"):
                run.keep_records(plan)
        elif (published := self._publish(plan)) is None:
            if (earlier := repeats.find_earlier_run(run)) is not None:
                repeats.repeat(run, earlier, plan.images)
                return
            raise self._moved()
        run.finish_records()
        self._report(plan, published)
        purge(run, plan.images)
        run.report.finish("succeeded")

    def _publish(self, plan: Plan) -> Snapshot | None:
        """Delete on a branch, verify, publish; return the snapshot, or None if main has moved."""
        run, spark, detail = self.run, self.run.session.spark, detail_of(self.images)
        with run.phase("apply"):
            if read_snapshots(spark, detail.name).main != detail.snapshot_id:
                return None
            run.keep_records(plan)
        with branch.own_branch(spark, self.images, run.attempt_id) as own:
            snapshot = self.delete(plan, own)
            with run.phase("publish"):
                is_published = branch.publish(spark, own, snapshot.snapshot_id)
        return snapshot if is_published else None

    def delete(self, plan: Plan, own: branch.Branch) -> Snapshot:
        """Delete the planned rows on a branch, and verify it."""
        run, spark, detail = self.run, self.run.session.spark, detail_of(self.images)
        with run.phase("apply"):
            if not has_merge_on_read(detail):
                enable_merge_on_read(spark, detail)
            with run.step("delete"):
                note = {**run.note(plan), "planned_version": detail.snapshot_id}
                delete.delete_ids(
                    spark,
                    own,
                    plan,
                    note,
                    removed_ids=plan.removed_ids,
                    num_rows=plan.counts.removed_rows,
                )
        with run.phase("verify"):
            snapshot = delete.own_snapshot(spark, own, run.attempt_id)
            delete.verify(spark, own, snapshot, plan)
        return snapshot

    def _moved(self) -> ConflictError:
        """Return the error of a run whose table changed meanwhile: may it plan anew?"""
        location, detail = self.images.location, detail_of(self.images)
        snapshots = read_snapshots(self.run.session.spark, detail.name)
        changed = f"another writer changed {location!r} after the plan; no row was deleted."
        if not snapshots.has_only_grown(detail.snapshot_id or 0):
            return ConflictError(f"{changed} Run again.")
        if self.run.settings.apply_plan is not None:
            return ConflictError(
                f"{changed} The plan of --apply-plan was made for the rows before: make and "
                "approve a new plan."
            )
        note_without_result(self.run.attempt_id)
        return PlanOutdatedError(f"{changed} Only rows were appended.")

    def _report(self, plan: Plan, published: Snapshot | None) -> None:
        """Report the snapshot, and how to go back."""
        described = {
            "location": plan.images.location,
            "format": plan.images.format,
            "version": None if published is None else published.snapshot_id,
            "deletion_vectors": 0,
        }
        if published is not None:
            pinned = branch.branch_of(plan.images, MAIN)
            undo = branch.rollback(pinned, pinned.parent_id)
            described |= {"deletion_vectors": published.deletion_vectors, "undo": undo}
            _log.info("the rows are hidden, not erased. To go back: %s", undo)
        self.run.report.note_deleted(described, plan.image_ids.num_rows, plan.kept_rows)

    @staticmethod
    def check_repeated(images: ImageTable, earlier: EarlierRun) -> None:
        """Check that an earlier run's snapshot follows the one that the run verified it against."""
        snapshot: Snapshot = earlier.commit
        if snapshot.parent_id != (pinned := earlier.note.get("planned_version")):
            raise VerificationError(
                f"snapshot {snapshot.snapshot_id} of {images.location!r} follows "
                f"{snapshot.parent_id}, but the plan of its run was made for {pinned}."
            )

    @staticmethod
    def make_up(run: RunContext, images: ImageTable) -> None:
        """Do what an earlier run with the same key has left undone: drop its branch, and purge."""
        branch.drop_left_behind(run.session.spark, detail_of(images).name)
        purge(run, images)


def check_deletes(spark: SparkSession, images: ImageTable, *, may_enable: bool) -> None:
    """Check that rows of an image table can be deleted by merge-on-read; write nothing.

    Args:
        spark: The session.
        images: The image table.
        may_enable: Whether the run may switch merge-on-read on.

    Raises:
        UnsupportedError: The table, its name, or the session does not allow it.
    """
    detail, location = detail_of(images), images.location
    if detail.ref != MAIN:
        raise UnsupportedError(
            f"{location!r} is a branch or tag: --method in-place deletes from a table's main "
            "branch only. Give the table's name alone."
        )
    if detail.format_version == 1:
        raise UnsupportedError(
            f"table {location!r} has format version 1, which has no row-level deletes. To raise "
            f"it: ALTER TABLE {detail.name} SET TBLPROPERTIES ('format-version' = '2'). Or use "
            "--method rewrite."
        )
    check_extensions(spark)
    if not may_enable and not has_merge_on_read(detail):
        raise UnsupportedError(
            f"table {location!r} deletes by copy-on-write ({DELETE_MODE}), so a delete would "
            "rewrite its files. --enable-deletion-vectors sets it to merge-on-read, for all "
            "writers from then on. Or use --method rewrite."
        )


def has_merge_on_read(detail: Detail) -> bool:
    """Tell whether deletes in a table write delete files or deletion vectors, and no images."""
    return detail.properties.get(DELETE_MODE, "").lower() == MERGE_ON_READ


def enable_merge_on_read(spark: SparkSession, detail: Detail) -> None:
    """Let deletes in a table write delete files or deletion vectors; the version stays."""
    spark.sql(
        f"ALTER TABLE {detail.name} SET TBLPROPERTIES ('{DELETE_MODE}' = '{MERGE_ON_READ}')"
    ).collect()
    _log.warning("set %s of %s to %s, for all writers", DELETE_MODE, detail.name, MERGE_ON_READ)
