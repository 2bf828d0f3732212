"""Method `clone`: a Delta table that shares its source's files, less the planned rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib.delta import delete
from dedup_lib.delta.delete import Purge
from dedup_lib.delta.history import Commit, commit_with
from dedup_lib.errors import VerificationError
from dedup_lib.plan.planning import Plan
from dedup_lib.report import Report
from dedup_lib.session.conf import session_settings
from dedup_lib.tables.pinned import PinnedTable, check_is_readable


@dataclass(frozen=True)
class Cloned:
    """A clone that was made where no reader looks.

    Attributes:
        version: Its Delta version.
        deletion_vectors: How many of them hide rows.
        purge: What a purge rewrote; None where none was asked for.
    """

    version: int
    deletion_vectors: int
    purge: Purge | None


def check_clone(spark: SparkSession, images: PinnedTable) -> None:
    """Check that an image table can be cloned, and rows deleted from the clone.

    Raises:
        UnsupportedError: Its layout or its protocol stands in the way.
    """
    check_is_readable(images)
    delete.check_clonable(images)
    if images.format == "delta":
        delete.check_deletes(spark, images.location, must_be_allowed=False)


def make_clone(
    spark: SparkSession,
    plan: Plan,
    image_id_column: str,
    location: str,
    *,
    note: Mapping[str, Any],
    image_settings: Callable[[], Mapping[str, str]],
    is_purged: bool,
    report: Report,
) -> Cloned:
    """Clone the image table and delete the planned rows from the clone.

    Args:
        spark: The session.
        plan: The plan, and the image table that it is for.
        image_id_column: The table's ID column.
        location: A free path.
        note: What the clone's commits shall say of themselves; its `run` names the attempt.
        image_settings: Works out session settings for reading and writing images.
        is_purged: Whether files with removed rows are rewritten without them.
        report: Gets the seconds of each step.

    *Cost:* the log (of Parquet, the footers), and one scan of the IDs. A purge reads and writes
    the images of each file that loses rows.
    """
    run, marked = str(note["run"]), delete.transaction(note, None)
    with report.step("clone"), session_settings(spark, marked):
        delete.clone(spark, plan.images, location, name=f"dedup_source_{run}")
    if plan.counts.removed_rows > 0:
        with report.step("delete"):
            delete.delete_ids(
                spark,
                location,
                image_id_column,
                plan.removed_ids,
                view=f"dedup_removed_{run}",
                settings=marked,
                image_settings=image_settings,
            )
    with report.step("read history"):
        commit = _newest(spark, location, run)
    if not is_purged:
        return Cloned(commit.version, commit.deletion_vectors, None)
    with report.step("purge"), session_settings(spark, image_settings()):
        purge = delete.purge(spark, location, note)
    return Cloned(_newest(spark, location, run).version, 0, purge)


def _newest(spark: SparkSession, location: str, run: str) -> Commit:
    commit = commit_with(spark, location, "run", run, newest=10)
    if commit is None:
        raise VerificationError(f"the clone that was staged in {location!r} lacks its commit.")
    return commit
