"""A run's own branch of an Iceberg table: make it, publish it, drop it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import Row, SparkSession

from dedup_lib.errors import DedupError, VerificationError
from dedup_lib.iceberg.detail import MAIN, Detail, catalog_of, detail_of
from dedup_lib.iceberg.errors import conflict, is_lost_race
from dedup_lib.iceberg.history import Snapshot, read_snapshots
from dedup_lib.publish.owners import is_owner_name, named_died_here, owner_name
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.sql_names import quoted
from dedup_lib.tables.image_table import ImageTable

_TRIES = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Branch:
    """A branch of an image table.

    Attributes:
        images: The image table, whose pinned snapshot the branch begins with.
        name: The branch's name.
    """

    images: ImageTable
    name: str

    @property
    def detail(self) -> Detail:
        """What was found out about the table when it was pinned."""
        return detail_of(self.images)

    @property
    def written(self) -> str:
        """The name of the branch for SQL statements that read or write rows."""
        return f"{self.detail.name}.{quoted(f'branch_{self.name}')}"


@contextmanager
def own_branch(spark: SparkSession, images: ImageTable, attempt_id: str) -> Iterator[Branch]:
    """Make a branch of the pinned snapshot, and drop it at the end, also after a failure.

    Its name says which process it belongs to: see `drop_left_behind`.
    """
    branch = Branch(images, owner_name(attempt_id))
    try:
        create(spark, branch, branch.detail.snapshot_id)
        yield branch
    finally:
        drop(spark, branch.detail.name, branch.name)


def create(spark: SparkSession, branch: Branch, snapshot_id: int | None) -> None:
    """Make a branch of a snapshot.

    Raises:
        ConflictError: The snapshot has expired, or other writers always came first.
    """
    detail = branch.detail
    _change_refs(
        spark,
        f"ALTER TABLE {detail.name} CREATE BRANCH {quoted(branch.name)} "
        f"AS OF VERSION {snapshot_id}",
        branch.images.location,
    )


def drop(spark: SparkSession, table: str, name: str) -> None:
    """Drop a branch, if it is there. A failure is only logged: no reader looks at the branch."""
    statement = f"ALTER TABLE {table} DROP BRANCH IF EXISTS {quoted(name)}"
    try:
        _change_refs(spark, statement, table)
    except (*SPARK_ERRORS, DedupError) as error:
        _log.warning("the branch stays behind: %s. To drop it: %s", first_line(error), statement)


def drop_left_behind(spark: SparkSession, images: ImageTable) -> None:
    """Drop the branches of runs that died on this machine; name those of other runs.

    The branch of a run that may still be at work is never dropped.
    """
    table = detail_of(images).name
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


def publish(spark: SparkSession, branch: Branch, verified: Snapshot) -> bool:
    """Make the verified snapshot the head of main, in one step.

    Returns:
        False if main moved since it was pinned: then nothing was published.

    Raises:
        ConflictError: The branch was dropped, or other writers always came first.
        VerificationError: Main is not as it must be; the message says how to go back.
    """
    table, location = branch.detail.name, branch.images.location
    statement = spell_publish(spark, branch)
    for attempt in range(1, _TRIES + 1):
        try:
            moved = spark.sql(statement).collect()
        except SPARK_ERRORS as error:
            # An error does not prove that nothing was published: the answer may have been lost.
            snapshots = read_snapshots(spark, table)
            if snapshots.is_in_main(verified.snapshot_id):
                return True
            if snapshots.main != branch.detail.snapshot_id:
                return False
            if is_lost_race(error) and attempt < _TRIES:
                continue
            if (refused := conflict(location, error)) is not None:
                raise refused from error
            raise
        _check_published(spark, branch, verified, moved[0])
        return True
    return False


def spell_publish(spark: SparkSession, branch: Branch) -> str:
    """Return the command that makes a branch's snapshot the head of main."""
    catalog = quoted(catalog_of(spark, branch.images.location))
    arguments = f"table => {_text(branch.detail.name)}, branch => '{MAIN}'"
    return f"CALL {catalog}.system.fast_forward({arguments}, to => {_text(branch.name)})"


def _check_published(spark: SparkSession, branch: Branch, verified: Snapshot, moved: Row) -> None:
    """Check what the fast-forward says, and main itself.

    Iceberg accepts a misspelt name, and makes a branch of that name. Spark Connect may send the
    statement again: then main was at the snapshot already.
    """
    before, after = moved["previous_ref"], moved["updated_ref"]
    pinned = branch.detail.snapshot_id
    is_in_main = read_snapshots(spark, branch.detail.name).is_in_main(verified.snapshot_id)
    if is_in_main and after == verified.snapshot_id and before in {pinned, after}:
        return
    raise VerificationError(
        f"main of {branch.images.location!r} went from snapshot {before} to {after}, but snapshot "
        f"{verified.snapshot_id} should follow {pinned}. {undo(spark, branch.images)}"
    )


def undo(spark: SparkSession, images: ImageTable) -> str:
    """Say how to go back. A program should not do it: others may have written since then."""
    return (
        f"To go back (and lose all that was committed since): {rollback(spark, images)}; "
        "after that, use another --run-key."
    )


def rollback(spark: SparkSession, images: ImageTable) -> str:
    """Return the command that goes back to the pinned snapshot, until that has expired."""
    detail, catalog = detail_of(images), quoted(catalog_of(spark, images.location))
    return f"CALL {catalog}.system.rollback_to_snapshot({_text(detail.name)}, {detail.snapshot_id})"


def _change_refs(spark: SparkSession, statement: str, location: str) -> None:
    """Run a statement that changes branches; again if another commit came first."""
    for attempt in range(1, _TRIES + 1):
        try:
            spark.sql(statement).collect()
        except SPARK_ERRORS as error:
            if attempt < _TRIES and is_lost_race(error):
                continue
            if (refused := conflict(location, error)) is not None:
                raise refused from error
            raise
        return


def _text(value: str) -> str:
    """Spell a text for SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
