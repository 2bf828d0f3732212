"""Branches on which a run commits before it publishes, and the notes of who owns them.

The owner is a property of the table, since Iceberg's branches hold no text. It is set before its
branch is made, and taken away after the branch is dropped. So a branch of ours always has an owner.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession

from dedup_lib.errors import ConflictError
from dedup_lib.iceberg.detail import MAIN, Detail, snapshot_of
from dedup_lib.publish.owners import died_here, owner_text
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.sql_names import name_parts, quoted

_PREFIX = "dedup-"
_OWNER = "dedup-owner."


def branch_name(attempt_id: str) -> str:
    """Return the name of the branch of an attempt."""
    return f"{_PREFIX}{attempt_id}"


def branch_of(table: str, branch: str) -> str:
    """Spell a branch of a table for SQL; `table` is spelled for SQL already."""
    return f"{table}.{quoted(f'branch_{branch}')}"


def owner_properties(attempt_id: str) -> dict[str, str]:
    """Return the property of a table that says which run owns the branch of an attempt."""
    return {_OWNER + branch_name(attempt_id): owner_text(attempt_id)}


def owners(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the owners of a table's branches by the names of these branches."""
    return {
        key.removeprefix(_OWNER): value
        for key, value in properties.items()
        if key.startswith(_OWNER)
    }


def drop_dead_branches(spark: SparkSession, detail: Detail) -> None:
    """Drop the branches of runs that died on this machine.

    A branch of a run that is alive, or that runs on another machine, stays.
    """
    for branch, owner in owners(detail.properties).items():
        if died_here(owner):
            drop_branch(spark, detail.name, branch)


def create_branch(spark: SparkSession, table: str, branch: str, snapshot_id: int | None) -> None:
    """Make a branch at a snapshot; without one, the branch begins with an empty snapshot."""
    of = "" if snapshot_id is None else f" AS OF VERSION {snapshot_id}"
    spark.sql(f"ALTER TABLE {table} CREATE BRANCH {quoted(branch)}{of}").collect()


def drop_branch(spark: SparkSession, table: str, branch: str) -> None:
    """Drop a branch if it exists, and the note of its owner. Its files stay until they expire."""
    spark.sql(f"ALTER TABLE {table} DROP BRANCH IF EXISTS {quoted(branch)}").collect()
    key = _OWNER + branch
    spark.sql(f"ALTER TABLE {table} UNSET TBLPROPERTIES IF EXISTS ('{key}')").collect()


def set_properties(spark: SparkSession, table: str, properties: Mapping[str, str]) -> None:
    """Set properties of a table, in one commit of its metadata."""
    spelled = ", ".join(f"{_text(key)} = {_text(value)}" for key, value in properties.items())
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({spelled})").collect()


def publish(
    spark: SparkSession, table: str, branch: str, *, verified: int, previous: int | None
) -> None:
    """Make a verified branch the table's main branch, in one step.

    Args:
        spark: The session.
        table: The table's name for SQL, with its catalog.
        branch: The branch.
        verified: The ID of the branch's snapshot that was verified.
        previous: The ID of the snapshot that `main` must have; None for a table without rows.

    Raises:
        ConflictError: Another writer changed the branch or `main` in the meantime. Nothing was
            published, unless the message names the command that goes back.
    """
    heads = snapshot_of(spark, table, branch), snapshot_of(spark, table, MAIN)
    if heads != (verified, previous):
        raise ConflictError(
            f"another writer changed table {table} in the meantime (main was at snapshot "
            f"{previous}, and is at {heads[1]}), so nothing was published. Run again."
        )
    try:
        row = spark.sql(_fast_forward(table, branch)).collect()[0]
    except SPARK_ERRORS as error:
        if snapshot_of(spark, table, MAIN) == previous:
            raise ConflictError(
                f"Iceberg refused to publish branch {branch!r} of table {table}, because another "
                f"writer committed in the meantime. Nothing was published. Run again: "
                f"{first_line(error)}"
            ) from error
        raise
    if row["previous_ref"] != previous or snapshot_of(spark, table, MAIN) != verified:
        raise ConflictError(
            f"another writer changed table {table} while snapshot {verified} was published: main "
            f"was at {row['previous_ref']} then, not at {previous}. Look at its history. To go "
            f"back: {rollback(table, row['previous_ref'])}"
        )


def rollback(table: str, snapshot_id: int | None) -> str:
    """Return the command by which a person goes back to a snapshot; without one, to no table."""
    if snapshot_id is None:
        return f"DROP TABLE {table}"
    catalog, name = _catalog_and_name(table)
    return f"CALL {catalog}.system.rollback_to_snapshot({_text(name)}, {snapshot_id})"


def _fast_forward(table: str, branch: str) -> str:
    catalog, name = _catalog_and_name(table)
    return f"CALL {catalog}.system.fast_forward({_text(name)}, '{MAIN}', {_text(branch)})"


def _catalog_and_name(table: str) -> tuple[str, str]:
    catalog, *parts = name_parts(table)
    return quoted(catalog), ".".join(map(quoted, parts))


def _text(value: str) -> str:
    """Spell a text for SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
