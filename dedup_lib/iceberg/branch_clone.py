"""Method `clone`: delete the planned rows on a branch of the Iceberg table, for a later look."""

from __future__ import annotations

import logging

from dedup_lib.errors import UnsupportedError
from dedup_lib.iceberg import branch
from dedup_lib.iceberg.detail import MAIN, full_name, split_ref
from dedup_lib.iceberg.in_place import InPlace
from dedup_lib.plan.plan import Plan

_log = logging.getLogger(__name__)


class BranchClone(InPlace):
    """Leave a verified branch without the planned rows, which a person can publish."""

    name = "clone"

    def check(self) -> None:
        """Check that the output is a branch of the image table, and that rows can be deleted.

        Raises:
            UnsupportedError: They can't, or the output is something else.
        """
        spark, images, output = self.run.session.spark, self.images, self.output
        if images.format != "iceberg":
            raise UnsupportedError(
                f"image table {images.location!r} is {images.table_format.title}: only a clone of "
                "an Iceberg table is Iceberg. Use --method rewrite, or give --output as a path."
            )
        super().check()
        if self.run.settings.purge:
            raise UnsupportedError(
                "--purge needs --method in-place: a second commit on a branch can't be published "
                "any more once snapshots have expired."
            )
        if output is None:
            return
        table, ref = split_ref(spark, output.location)
        if ref == MAIN or full_name(spark, table) != full_name(spark, images.location):
            raise UnsupportedError(
                f"output {output.location!r}: a clone of an Iceberg table is a branch of this "
                f"table, such as {images.location}.branch_review. For another table use --method "
                "rewrite."
            )

    def apply(self, plan: Plan) -> None:
        """Delete on a branch of the run, verify, and give the snapshot the name of the output.

        A killed run leaves no branch of that name. A plan without rows also makes a snapshot: it
        has the run's key, and a person who expects the branch can publish it.
        """
        run, spark, images = self.run, self.run.session.spark, self.images
        if self.output is None:
            raise TypeError("a branch that is to be made has a name")
        kept = branch.branch_of(images, split_ref(spark, self.output.location)[1])
        with branch.own_branch(spark, images, run.attempt_id) as own:
            snapshot = self.delete(plan, own)
            with run.phase("publish"):
                run.keep_records(plan)
                branch.create(spark, kept, snapshot.snapshot_id)
                run.finish_records()
        publish = branch.spell_publish(kept)
        described = {
            "location": self.output.location,
            "format": images.format,
            "version": snapshot.snapshot_id,
            "deletion_vectors": snapshot.deletion_vectors,
            "publish": publish,
        }
        if plan.counts.removed_rows == 0:
            _log.info("nothing is to be removed: %s has the rows of main", self.output.location)
        _log.info("readers of main still see all rows. To publish the branch: %s", publish)
        run.report.note_deleted(described, plan.image_ids.num_rows, plan.kept_rows)
        run.report.finish("succeeded")
