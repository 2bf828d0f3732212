"""Make and verify the commit of the method `in-place`, which deletes rows from the image table."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from dedup_lib.delta import delete
from dedup_lib.delta.delete import Purge
from dedup_lib.delta.detail import delta_detail, delta_version
from dedup_lib.delta.history import LOST_COMMIT, Commit, commit_with, count_rows_at, read_version
from dedup_lib.errors import ConflictError, UnsupportedError, VerificationError
from dedup_lib.plan import id_scan
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import SCAN_SETTINGS, tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS, file_was_deleted
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.pinned import PinnedTable

_log = logging.getLogger(__name__)
# A run looks for the commit that it has just made among this many newest commits.
_NEWEST = 1000


@dataclass(frozen=True)
class Deleted:
    """The result of a deletion in place.

    Attributes:
        rows: How many rows were deleted.
        commit: The commit; None if the table no longer had any planned row.
        planned_version: The version with the rows that the plan is based on.
    """

    rows: int
    commit: Commit | None
    planned_version: int


@dataclass(frozen=True)
class TableRows:
    """The number of rows of the table just before the commit, and after it."""

    before: int
    after: int


def check_in_place(spark: SparkSession, images: PinnedTable, *, may_enable: bool) -> None:
    """Check that rows of an image table can be deleted in place; write nothing.

    Args:
        spark: The session.
        images: The image table.
        may_enable: Whether the run may switch deletion vectors on.

    Raises:
        UnsupportedError: The table has no deletion vectors, or Delta would refuse the deletion.
    """
    delete.check_deletes(spark, images.location, must_be_allowed=True)
    if not may_enable and not delete.has_deletion_vectors(images.detail):
        raise UnsupportedError(
            f"table {images.location!r} has no deletion vectors, so a delete would rewrite its "
            "files. --enable-deletion-vectors switches them on; this raises the table's protocol, "
            "so older readers (Delta below 2.3) can't read it any more. Or use --method clone."
        )


def delete_in_place(
    spark: SparkSession,
    plan: Plan,
    *,
    note: Mapping[str, Any],
    run_key: str | None,
    image_settings: Callable[[], Mapping[str, str]],
) -> Deleted | None:
    """Delete the planned IDs from the image table.

    Args:
        spark: The session.
        plan: The plan.
        note: The note for the commit; its `run` is the attempt's name.
        run_key: The key of the commit: Delta accepts only one commit with this key.
        image_settings: Returns session settings for a statement that reads images.

    Returns:
        The deletion; None if Delta skipped the commit, because the table has a commit with the key.

    Raises:
        ConflictError: Another writer committed in the meantime.
    """
    images = plan.images
    if plan.counts.removed_rows == 0:
        return Deleted(0, None, images.version or 0)
    planned_version = _with_deletion_vectors(spark, images)
    marked = {**note, "planned_version": planned_version}
    rows = delete.delete_ids(
        spark,
        images.location,
        images.id_column,
        plan.removed_ids,
        image_ids=plan.image_ids,
        view=f"dedup_removed_{note['run']}",
        settings=delete.transaction(marked, run_key),
        image_settings=image_settings,
    )
    commit = commit_with(spark, images.location, "run", str(note["run"]), newest=_NEWEST)
    if commit is not None:
        # If Spark Connect sent the statement again, `rows` are those of the repetition: none.
        return Deleted(commit.deleted_rows, commit, planned_version)
    if rows is None:
        return None
    if rows > 0:
        raise VerificationError(
            f"{rows} rows of {images.location!r} were deleted, but its history lacks the commit: "
            f"{LOST_COMMIT}"
        )
    return Deleted(0, None, planned_version)


def verify_in_place(spark: SparkSession, plan: Plan, deleted: Deleted) -> TableRows:
    """Compare the deleted rows with the plan, evaluated at the version that the commit read.

    Raises:
        VerificationError: They differ; the message names the commit, and how to undo it.

    *Cost:* the Delta log, and a scan of the IDs; three more if the table changed after the plan.
    """
    location, commit = plan.images.location, deleted.commit
    if commit is None:
        version = delta_version(spark, location)
        rows = count_rows_at(spark, location, version)
        return TableRows(rows, rows)
    if commit.read_version == deleted.planned_version:
        expected = plan.counts.removed_rows
    else:
        expected = _planned_ids(spark, plan, commit).count()
    is_as_planned = commit.version - 1 == deleted.planned_version
    planned_rows = plan.image_ids.num_rows  # counted by a scan, and compared with the log
    before = planned_rows if is_as_planned else count_rows_at(spark, location, commit.version - 1)
    after = count_rows_at(spark, location, commit.version)
    check_deleted(location, commit, expected_rows=expected)
    if before - deleted.rows != after:
        raise VerificationError(
            f"version {commit.version} of {location!r} has {after} rows, but {before} - "
            f"{deleted.rows} are expected. {undo(location, commit)}"
        )
    try:
        with tuning_settings(spark, SCAN_SETTINGS):
            _check_ids(spark, plan, commit, is_as_planned=is_as_planned)
    except SPARK_ERRORS as error:
        if not file_was_deleted(error):
            raise
        _log.warning(
            "version %s of %r was vacuumed since: the numbers of its rows were compared with the "
            "plan, but not their IDs",
            commit.version,
            location,
        )
    return TableRows(before, after)


def _check_ids(spark: SparkSession, plan: Plan, commit: Commit, *, is_as_planned: bool) -> None:
    """Compare a hash of the IDs before the commit less those after it with the plan.

    If others committed after the plan, the plan counts for the version that the commit read.
    """
    images = plan.images

    def hash_at(version: int) -> int:
        frame = read_version(spark, images.location, version)
        return id_scan.hash_of(frame.select(images.stored_id))

    if is_as_planned:
        before, removed = id_scan.hash_of_all(images, plan.files), plan.hash_of_removed()
    else:
        removed = id_scan.hash_of(_planned_ids(spark, plan, commit))
        before = hash_at(commit.version - 1)
    if before - hash_at(commit.version) != removed:
        raise VerificationError(
            f"version {commit.version} of {images.location!r} deleted other IDs than the plan's. "
            f"{undo(images.location, commit)}"
        )


def _planned_ids(spark: SparkSession, plan: Plan, commit: Commit) -> DataFrame:
    """Return `image_id` of the planned rows in the version that a commit read, lazily."""
    read = read_version(spark, plan.images.location, commit.read_version or 0)
    return read.select(plan.images.id).join(plan.removed_ids, "image_id", "left_semi")


def purge_in_place(spark: SparkSession, location: str, run: str) -> Purge:
    """Rewrite the table's files that have deletion vectors, without the hidden rows.

    Raises:
        ConflictError: Another writer committed in the meantime; the rows stay deleted.
        VerificationError: The purge changed the number of rows.
    """
    table, name = sql_name(location), f"{run}-purge"
    try:
        purged = delete.purge(spark, location, {"run": name})
    except ConflictError as error:
        raise ConflictError(
            f"the rows of {location!r} are deleted, but they could not be purged, because "
            f"another writer committed in the meantime. Run REORG TABLE {table} APPLY (PURGE); or "
            "run again with the same --run-key, if the run had a key."
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
    """Compare the number of rows that a commit deleted, by Delta's own count, with a plan's.

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
    """Compare the rows that an earlier run's commit deleted with the rows that the run planned.

    If a run ended with exit code 5 because they differ, its repetition must not succeed. If the
    table changed between the plan and the commit, this can no longer be checked.

    Raises:
        VerificationError: They differ.
    """
    if commit.read_version == commit.note.get("planned_version"):
        check_deleted(location, commit, expected_rows=commit.note["counts"]["removed_rows"])


def undo(location: str, commit: Commit) -> str:
    """Say how to undo a commit. A program should not do it: others may have written since then."""
    return (
        f"To undo it (and all that was committed since): RESTORE TABLE {sql_name(location)} "
        f"TO VERSION AS OF {commit.version - 1}; after that, use another --run-key."
    )


def _with_deletion_vectors(spark: SparkSession, images: PinnedTable) -> int:
    """Switch deletion vectors on if they are off; return the version with the planned rows."""
    pinned = images.version or 0
    if delete.has_deletion_vectors(delta_detail(spark, images.location)):
        return pinned
    delete.enable_deletion_vectors(spark, images.location)
    newest = delta_version(spark, images.location)
    return newest if newest == pinned + 1 else pinned
