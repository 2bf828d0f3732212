"""A run's own branch of an Iceberg table: make it, publish it, drop it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import Row, SparkSession

from dedup_lib.errors import (
    ConflictError,
    DedupError,
    OutputExistsError,
    PublishError,
    VerificationError,
)
from dedup_lib.iceberg.detail import MAIN, detail_of, full_name, spell_call
from dedup_lib.iceberg.errors import conflict, is_answer_lost, is_lost_race
from dedup_lib.iceberg.history import Snapshots, read_snapshots
from dedup_lib.publish.owners import is_owner_name, named_died_here, owner_name
from dedup_lib.session.failures import SPARK_ERRORS, find_catalog_failure, first_line
from dedup_lib.session.sql_names import quoted
from dedup_lib.tables.image_table import ImageTable

_TRIES = 4
_EXISTS = re.compile(r"already exists", re.IGNORECASE)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Branch:
    """A branch on which a run commits once, before it publishes.

    Attributes:
        location: The table's name, as the user gave it.
        table: The table's name for SQL, with its catalog.
        name: The branch's name.
        parent_id: The ID of the snapshot that the branch begins with, and that main must still have
            when the branch is published; None for a table without a snapshot.
    """

    location: str
    table: str
    name: str
    parent_id: int | None

    @property
    def written(self) -> str:
        """The name of the branch for SQL statements that read or write rows."""
        return f"{self.table}.{quoted(f'branch_{self.name}')}"


def branch_of(images: ImageTable, name: str) -> Branch:
    """Return a branch of an image table that begins with the pinned snapshot."""
    detail = detail_of(images)
    return Branch(images.location, detail.name, name, detail.snapshot_id)


def branch_of_run(
    spark: SparkSession, location: str, attempt_id: str, parent_id: int | None
) -> Branch:
    """Return the branch of a run; its name says which process it belongs to."""
    return Branch(location, full_name(spark, location), owner_name(attempt_id), parent_id)


@contextmanager
def own_branch(spark: SparkSession, images: ImageTable, attempt_id: str) -> Iterator[Branch]:
    """Make a branch of the pinned snapshot, and drop it at the end, also after a failure.

    If the process is killed, `drop_left_behind` of a later run drops it.
    """
    branch = branch_of_run(spark, images.location, attempt_id, detail_of(images).snapshot_id)
    try:
        create(spark, branch, branch.parent_id)
        yield branch
    finally:
        drop(spark, branch.table, branch.name)


def create(spark: SparkSession, branch: Branch, snapshot_id: int | None) -> None:
    """Make a branch of a snapshot; without one, the branch begins with an empty snapshot.

    Raises:
        OutputExistsError: There is a branch of that name with another snapshot.
        ConflictError: The snapshot has expired, or other writers always came first.
    """
    of = "" if snapshot_id is None else f" AS OF VERSION {snapshot_id}"
    statement = f"ALTER TABLE {branch.table} CREATE BRANCH {quoted(branch.name)}{of}"
    try:
        _change_refs(spark, statement, branch.location)
    except SPARK_ERRORS as error:
        if _EXISTS.search(str(error)) is None:
            raise
        # It may have been made by this statement, if only the answer was lost.
        if read_snapshots(spark, branch.table).heads.get(branch.name) != snapshot_id:
            raise OutputExistsError(
                f"branch {branch.name!r} of {branch.location!r} exists. Choose another name."
            ) from error


def drop(spark: SparkSession, table: str, name: str) -> None:
    """Drop a branch, if it is there. A failure is only logged: no reader looks at the branch."""
    statement = f"ALTER TABLE {table} DROP BRANCH IF EXISTS {quoted(name)}"
    try:
        _change_refs(spark, statement, table)
    except (*SPARK_ERRORS, DedupError) as error:
        _log.warning("the branch stays behind: %s. To drop it: %s", first_line(error), statement)


def drop_left_behind(spark: SparkSession, table: str) -> None:
    """Drop the branches of runs that died on this machine; name those of other runs.

    The branch of a run that may still be at work is never dropped.
    """
    for name in read_snapshots(spark, table).heads:
        if not is_owner_name(name):
            continue
        if named_died_here(name):
            _log.info("dropping branch %r of %s, left by a run that was killed", name, table)
            drop(spark, table, name)
        else:
            _log.warning(
                "branch %r of %s belongs to another run, or to a run that died on another machine. "
                "If it is dead: ALTER TABLE %s DROP BRANCH %s",
                *(name, table, table, quoted(name)),
            )


def publish(spark: SparkSession, branch: Branch, verified: int) -> bool:
    """Make the verified snapshot the head of main, in one step.

    Args:
        spark: The session.
        branch: The branch.
        verified: The ID of the branch's snapshot that was verified.

    Returns:
        False if main moved since the branch was made: then nothing was published.

    Raises:
        ConflictError: The branch was dropped or changed, or other writers always came first.
        VerificationError: Main is not as it must be; the message says how to go back.
    """
    for attempt in range(1, _TRIES + 1):
        # Iceberg would also go on from an ancestor, to which somebody has rolled main back.
        snapshots = read_snapshots(spark, branch.table)
        if snapshots.is_in_main(verified):
            return True
        if snapshots.main != branch.parent_id:
            return False
        if snapshots.heads.get(branch.name) != verified:
            raise ConflictError(
                f"branch {branch.name!r} of {branch.location!r} was dropped or changed while this "
                "run was at work; nothing was published. Run again."
            )
        try:
            moved = spark.sql(spell_publish(branch)).collect()
        except SPARK_ERRORS as error:
            if attempt < _TRIES and is_lost_race(error):
                continue
            # An error does not prove that nothing was published: the answer may have been lost.
            snapshots = _look_again(spark, branch, verified, error)
            if snapshots.is_in_main(verified):
                return True
            if snapshots.main != branch.parent_id:
                return False
            if (refused := _why_refused(branch.location, error)) is not None:
                raise refused from error
            raise
        _check_published(spark, branch, verified, moved[0])
        return True
    return False


def _why_refused(location: str, error: Exception) -> PublishError | None:
    """Return this library's error for a command that did not publish; None if it is unknown."""
    if (refused := conflict(location, error)) is not None:
        return refused
    if (failure := find_catalog_failure(str(error))) is None:
        return None
    return PublishError(
        f"nothing was published to {location!r}, because its catalog failed: {failure}. Run again."
    )


def _look_again(spark: SparkSession, branch: Branch, verified: int, error: Exception) -> Snapshots:
    """Read the snapshots after the command to publish failed.

    Raises:
        PublishError: They can't be read, so it is not known whether main has moved.
    """
    try:
        return read_snapshots(spark, branch.table)
    except SPARK_ERRORS as again:
        raise PublishError(
            f"the catalog of {branch.location!r} failed while the run published, and does not "
            f"answer, so main may be at snapshot {verified} (published) or {branch.parent_id} (as "
            "it was); both are sound. Run again: with the same --run-key, if the run had one. "
            f"{find_catalog_failure(str(error)) or first_line(error)}"
        ) from again


def spell_publish(branch: Branch) -> str:
    """Return the command that makes a branch's snapshot the head of main."""
    return spell_call(branch.table, "fast_forward", branch=MAIN, to=branch.name)


def _check_published(spark: SparkSession, branch: Branch, verified: int, moved: Row) -> None:
    """Check what the fast-forward says, and main itself.

    Iceberg accepts a misspelt name, and makes a branch of that name. Spark Connect may send the
    statement again: then main was at the snapshot already.
    """
    before, after = moved["previous_ref"], moved["updated_ref"]
    try:
        is_in_main = read_snapshots(spark, branch.table).is_in_main(verified)
    except SPARK_ERRORS as error:
        raise PublishError(
            f"main of {branch.location!r} went from snapshot {before} to {after}, so the result is "
            f"published, but its catalog failed right after: {first_line(error)}. Run again with "
            "the same --run-key, if the run had one, or look at the table."
        ) from error
    if is_in_main and after == verified and before in {branch.parent_id, after}:
        return
    back = ""
    if before is not None:
        back = (
            f" To go back (and lose all that was committed since): "
            f"{rollback(branch, before)}; after that, use another --run-key."
        )
    raise VerificationError(
        f"a branch of {branch.location!r} went from snapshot {before} to {after}, but main should "
        f"have gone from {branch.parent_id} to {verified}. Look at the table's refs and "
        f"history.{back}"
    )


def rollback(branch: Branch, snapshot_id: int | None) -> str:
    """Return the command that goes back to a snapshot, until it expires; for None, to no table.

    A program should not run it: others may have written since then.
    """
    if snapshot_id is None:
        return f"DROP TABLE {branch.table}"
    return spell_call(branch.table, "rollback_to_snapshot", snapshot_id=snapshot_id)


def _change_refs(spark: SparkSession, statement: str, location: str) -> None:
    """Run a statement that changes branches; again if another commit came first.

    It is also run again if the catalog does not tell whether it succeeded: twice does no harm.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            spark.sql(statement).collect()
        except SPARK_ERRORS as error:
            if attempt < _TRIES and (is_lost_race(error) or is_answer_lost(error)):
                continue
            if (refused := conflict(location, error)) is not None:
                raise refused from error
            raise
        return
