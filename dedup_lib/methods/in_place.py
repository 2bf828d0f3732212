"""Method `in-place`, from the plan on: apply, verify, publish."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from dedup_lib.delta import in_place_commit
from dedup_lib.delta.in_place_commit import Deleted, TableRows
from dedup_lib.methods.run_context import RunContext
from dedup_lib.plan.id_scan import FileRows
from dedup_lib.plan.planning import Plan
from dedup_lib.session.conf import session_settings
from dedup_lib.tables.pinned import PinnedTable

_log = logging.getLogger(__name__)


def apply(run: RunContext, plan: Plan) -> bool:
    """Delete the planned rows from the image table, and verify the commit.

    Returns:
        Whether that was done; False where Delta knows the run key: another run was quicker.
    """
    column = run.settings.image_id_column
    with run.phase("apply"):
        run.keep_records(plan)
        with run.report.step("delete"):
            deleted = in_place_commit.delete_in_place(
                run.session.spark,
                plan,
                column,
                note=run.note(plan),
                run_key=run.settings.run_key,
                image_settings=lambda: run.image_settings(plan.images, plan.files),
            )
    if deleted is None:
        return False
    run.finish_records()
    with run.phase("verify"):
        rows = in_place_commit.verify_in_place(run.session.spark, plan, deleted, column)
        _note_deleted(run, plan.images.location, deleted, rows)
    with run.phase("publish"):
        purge(run, plan.images, plan.files)
    run.report.finish("succeeded")
    return True


def purge(run: RunContext, images: PinnedTable, files: Sequence[FileRows]) -> None:
    """Rewrite what holds hidden rows (--purge), once the deletion has been verified."""
    if run.settings.purge:
        settings = run.image_settings(images, files)
        with run.report.step("purge"), session_settings(run.session.spark, settings):
            purged = in_place_commit.purge_in_place(
                run.session.spark, images.location, run.attempt_id
            )
        run.report.note_purge(dataclasses.asdict(purged), purged.added_bytes)


def _note_deleted(run: RunContext, location: str, deleted: Deleted, rows: TableRows) -> None:
    if rows.before != run.report.counts["input_rows"]:
        _log.warning(
            "%r was written to after the plan: IDs of the plan went there, too; other "
            "listed IDs that came with it stay until the next run",
            location,
        )
    run.report.note_deleted(location, deleted.commit, rows.before, rows.after)
