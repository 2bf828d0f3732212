"""Method `in-place`: the planned rows are deleted from the image table itself, in one commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib.delta import delete
from dedup_lib.delta.delete import Purge
from dedup_lib.delta.detail import delta_version
from dedup_lib.delta.history import LOST_COMMIT, Commit, commit_with, count_rows_at
from dedup_lib.errors import ConflictError, UnsupportedError, VerificationError
from dedup_lib.plan.plan import Plan
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.pinned import PinnedTable

# A run looks for its own commit, just made, among as many of the newest.
_NEWEST = 1000


@dataclass(frozen=True)
class Deleted:
    """What a deletion in place came to.

    Attributes:
        rows: How many rows went.
        commit: The commit; None where no planned row was there any more.
        planned_version: The version that has the rows that were planned with.
    """

    rows: int
    commit: Commit | None
    planned_version: int


@dataclass(frozen=True)
class TableRows:
    """Rows of the table just before the commit, and with it."""

    before: int
    after: int


def check_in_place(spark: SparkSession, images: PinnedTable, *, may_enable: bool) -> None:
    """Check that rows of an image table can be deleted in place; nothing is written.

    Args:
        spark: The session.
        images: The image table.
        may_enable: Whether deletion vectors may be switched on.

    Raises:
        UnsupportedError: It has no deletion vectors, or Delta would refuse.
    """
    delete.check_deletes(spark, images.location, must_be_allowed=True)
    if not may_enable and not delete.has_deletion_vectors(spark, images.location):
        raise UnsupportedError(
            f"table {images.location!r} has no deletion vectors, so a delete would rewrite its "
            "files. --enable-deletion-vectors switches them on; that raises the table's protocol, "
            "so older readers (Delta below 2.3) can't read it any more. Or use --method clone."
        )


def delete_in_place(
    spark: SparkSession,
    plan: Plan,
    image_id_column: str,
    *,
    note: Mapping[str, Any],
    run_key: str | None,
    image_settings: Callable[[], Mapping[str, str]],
) -> Deleted | None:
    """Delete the planned IDs from the image table.

    Args:
        spark: The session.
        plan: The plan.
        image_id_column: The table's ID column.
        note: What the commit shall say of itself; its `run` is the attempt's name.
        run_key: Ties the commit to a key, so that Delta takes it once.
        image_settings: Works out session settings for a statement that reads images.

    Returns:
        What went; None where Delta skipped the commit, since one with the key is there.

    Raises:
        ConflictError: Another writer's commit came between.
    """
    images = plan.images
    if plan.counts.removed_rows == 0:
        return Deleted(0, None, images.version or 0)
    planned_version = _with_deletion_vectors(spark, images)
    marked = {**note, "planned_version": planned_version}
    rows = delete.delete_ids(
        spark,
        images.location,
        image_id_column,
        plan.removed_ids,
        view=f"dedup_removed_{note['run']}",
        settings=delete.transaction(marked, run_key),
        image_settings=image_settings,
    )
    if rows is None:
        return None
    commit = commit_with(spark, images.location, "run", str(note["run"]), newest=_NEWEST)
    if rows > 0 and commit is None:
        raise VerificationError(
            f"{rows} rows of {images.location!r} were deleted, but its history lacks the commit: "
            f"{LOST_COMMIT}"
        )
    return Deleted(rows, commit, planned_version)


def verify_in_place(
    spark: SparkSession, plan: Plan, deleted: Deleted, image_id_column: str
) -> TableRows:
    """Compare what was deleted with the plan, evaluated at the version that the commit read.

    Raises:
        VerificationError: They differ; the message names the commit, and how to undo it.

    *Cost:* the Delta log; one more scan of the IDs where the table changed after the plan.
    """
    location, commit = plan.images.location, deleted.commit
    if commit is None:
        version = delta_version(spark, location)
        rows = count_rows_at(spark, location, version)
        return TableRows(rows, rows)
    if commit.read_version == deleted.planned_version:
        expected = plan.counts.removed_rows
    else:
        expected = delete.count_ids(
            spark, location, commit.read_version or 0, image_id_column, plan.removed_ids
        )
    before = count_rows_at(spark, location, commit.version - 1)
    after = count_rows_at(spark, location, commit.version)
    check_deleted(location, commit, expected_rows=expected)
    if before - deleted.rows != after:
        raise VerificationError(
            f"version {commit.version} of {location!r} has {after} rows, but {before} less "
            f"{deleted.rows} are due. {undo(location, commit)}"
        )
    return TableRows(before, after)


def purge_in_place(spark: SparkSession, location: str, run: str) -> Purge:
    """Rewrite the table's files that have deletion vectors, without the hidden rows.

    Raises:
        ConflictError: Another writer's commit came between; the rows stay deleted.
        VerificationError: The table has other rows than before.
    """
    table, name = sql_name(location), f"{run}-purge"
    try:
        purged = delete.purge(spark, location, {"run": name})
    except ConflictError as error:
        raise ConflictError(
            f"the rows of {location!r} are deleted, but they could not be purged, for another "
            f"writer's commit came between. Then: REORG TABLE {table} APPLY (PURGE); or run again "
            "with the same --run-key, if there was one."
        ) from error
    commit = commit_with(spark, location, "run", name, newest=_NEWEST)
    if commit is not None:
        before = count_rows_at(spark, location, commit.version - 1)
        after = count_rows_at(spark, location, commit.version)
        if before != after:
            raise VerificationError(
                f"the purge of {location!r} left {after} of {before} rows. {undo(location, commit)}"
            )
    return dataclasses.replace(
        purged,
        vacuum=f"VACUUM {table}",
        vacuum_after=delete.vacuum_time(spark, location),
    )


def check_deleted(location: str, commit: Commit, *, expected_rows: int) -> None:
    """Compare what a commit deleted, by Delta's own count, with what a plan says.

    Raises:
        VerificationError: They differ; the message names the commit, and how to undo it.
    """
    if commit.deleted_rows == expected_rows:
        return
    raise VerificationError(
        f"version {commit.version} of {location!r} deleted {commit.deleted_rows} rows, but the "
        f"plan says {expected_rows} for version {commit.read_version}, which it read. "
        f"{undo(location, commit)}"
    )


def check_repeated(location: str, commit: Commit) -> None:
    """Compare what an earlier run's commit deleted with what that run had planned.

    A run that ended in exit code 5 for that must not end well when it is repeated. Where the table
    changed between the plan and the commit this can't be told any more.

    Raises:
        VerificationError: They differ.
    """
    if commit.read_version == commit.note.get("planned_version"):
        check_deleted(location, commit, expected_rows=commit.note["counts"]["removed_rows"])


def undo(location: str, commit: Commit) -> str:
    """Say how to undo a commit; no program should, since others may have written meanwhile."""
    return (
        f"To undo it (and all that was committed since): RESTORE TABLE {sql_name(location)} "
        f"TO VERSION AS OF {commit.version - 1}; a --run-key that was used is spent."
    )


def _with_deletion_vectors(spark: SparkSession, images: PinnedTable) -> int:
    """Switch deletion vectors on where they are off; return the version with the planned rows."""
    pinned = images.version or 0
    if delete.has_deletion_vectors(spark, images.location):
        return pinned
    delete.enable_deletion_vectors(spark, images.location)
    newest = delta_version(spark, images.location)
    return newest if newest == pinned + 1 else pinned
