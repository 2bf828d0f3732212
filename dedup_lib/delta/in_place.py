"""Method `in-place`: delete the planned rows from the Delta image table itself."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from dedup_lib.delta import in_place_commit
from dedup_lib.delta.in_place_commit import Deleted, TableRows
from dedup_lib.delta.readers import columns_with_escapes
from dedup_lib.methods import repeats
from dedup_lib.methods.method import Method
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan import id_scan
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import session_settings, tuned_for_rows
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.history import EarlierRun
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.image_table import ImageTable

_log = logging.getLogger(__name__)


class InPlace(Method):
    """Delete the planned rows in one commit, and verify it."""

    name = "in-place"

    def check(self) -> None:
        """Check that rows of the image table can be deleted; write nothing."""
        may_enable = self.run.settings.enable_deletion_vectors
        in_place_commit.check_in_place(self.run.session.spark, self.images, may_enable=may_enable)

    def apply(self, plan: Plan) -> None:
        """Delete, verify, and purge if the user asked for it.

        If Delta already knows the run key, another run was faster. Then report that run's result.
        """
        run = self.run
        with run.phase("apply"):
            run.keep_records(plan)
            with run.step("delete"):
                deleted = in_place_commit.delete_in_place(
                    run.session.spark,
                    plan,
                    note=run.note(plan),
                    run_key=run.settings.run_key,
                    image_settings=lambda: run.image_settings(plan.images, plan.files),
                )
        if deleted is None:
            repeats.repeat(run, repeats.find_earlier_run(run), plan.images)
            return
        run.finish_records()
        few_rows = tuned_for_rows(run.session.spark, plan.image_ids.num_rows)
        with run.phase("verify"), few_rows:
            rows = in_place_commit.verify_in_place(run.session.spark, plan, deleted)
            _note_deleted(run, plan.images.location, deleted, rows)
            if deleted.commit is not None and not run.settings.purge:
                _warn_of_readers(plan)
        with run.phase("publish"):
            purge(run, plan.images, plan.files)
        run.report.finish("succeeded")

    @staticmethod
    def check_repeated(images: ImageTable, earlier: EarlierRun) -> None:
        """Check that an earlier run's commit deleted the rows that the run planned."""
        in_place_commit.check_repeated(images.location, earlier.commit)

    @staticmethod
    def make_up(run: RunContext, images: ImageTable) -> None:
        """Purge if an earlier run with the same key stopped before its purge."""
        if run.settings.purge:
            purge(run, images, id_scan.count_files(images))


def purge(run: RunContext, images: ImageTable, files: Sequence[FileRows]) -> None:
    """Rewrite the files with hidden rows (--purge), after the deletion is verified."""
    if run.settings.purge:
        settings = run.image_settings(images, files)
        with run.step("purge"), session_settings(run.session.spark, settings):
            purged = in_place_commit.purge_in_place(
                run.session.spark, images.location, run.attempt_id
            )
        run.report.note_purge(dataclasses.asdict(purged), purged.added_bytes)


def _note_deleted(run: RunContext, location: str, deleted: Deleted, rows: TableRows) -> None:
    if rows.before != run.report.counts["input_rows"]:
        _log.warning(
            "another writer changed %r after the plan: new rows with an ID of the plan were "
            "also deleted; new rows with other listed IDs stay until the next run",
            location,
        )
    commit = deleted.commit
    described = {
        "location": location,
        "format": "delta",
        "version": None if commit is None else commit.version,
        "deletion_vectors": 0 if commit is None else commit.deletion_vectors,
    }
    run.report.note_deleted(described, rows.before, rows.after)


def _warn_of_readers(plan: Plan) -> None:
    images = plan.images
    paths = (file.file_path for file in plan.files)
    if columns := columns_with_escapes(images.partition_columns, paths):
        _log.warning(
            "values of partition column %s need escapes in the paths of %r: a reader (Polars' "
            "scan_delta) does not find the deletion vectors of such partitions, and gives the "
            "removed rows back. To prevent this, run REORG TABLE %s APPLY (PURGE), as --purge "
            "does. docs/readers.md says who reads what",
            ", ".join(map(repr, columns)),
            images.location,
            sql_name(images.location),
        )
