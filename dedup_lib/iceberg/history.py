"""Read an Iceberg table's snapshots: which are part of main, and which runs made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from dedup_lib.iceberg.detail import MAIN
from dedup_lib.tables.history import Operation, as_note, note_text

# The property of a snapshot that holds the note of the run that made it.
NOTE = "dedup-run"
_NOTE_SETTING = f"spark.sql.iceberg.snapshot-property.{NOTE}"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a table.

    Attributes:
        snapshot_id: Its ID.
        parent_id: The ID of the snapshot that it changes; None for the first one.
        operation: Iceberg's name: `append`, `overwrite`, `delete` or `replace`.
        summary: Iceberg's numbers, and the properties that the writer set.
    """

    snapshot_id: int
    parent_id: int | None
    operation: str
    summary: Mapping[str, str]

    @property
    def deletion_vectors(self) -> int:
        """How many deletion vectors or position delete files it added."""
        added = self.summary.get("added-dvs") or self.summary.get("added-position-delete-files")
        return int(added or 0)

    @property
    def note(self) -> dict[str, Any]:
        """The values that a run of this library noted; empty for any other snapshot."""
        return as_note(self.summary.get(NOTE, ""))


@dataclass(frozen=True)
class Snapshots:
    """The snapshots that a table still has.

    Attributes:
        by_id: The snapshots, also those of branches and of dropped branches.
        heads: The ID of the snapshot that each branch or tag names.
        was_main: The IDs of the snapshots that were main's head once, oldest first.
    """

    by_id: Mapping[int, Snapshot]
    heads: Mapping[str, int]
    was_main: Sequence[int]

    @property
    def main(self) -> int | None:
        """The ID of main's head; None for a table without a snapshot."""
        return self.heads.get(MAIN)

    def ancestors(self, snapshot_id: int | None) -> Iterator[Snapshot]:
        """Yield a snapshot and its ancestors, newest first, until one has expired."""
        while snapshot_id is not None and (found := self.by_id.get(snapshot_id)) is not None:
            yield found
            snapshot_id = found.parent_id

    def is_in_main(self, snapshot_id: int) -> bool:
        """Tell whether a snapshot is main's head or an ancestor of it."""
        return any(one.snapshot_id == snapshot_id for one in self.ancestors(self.main))

    def has_only_grown(self, since: int) -> bool:
        """Tell whether main has that ancestor, and all snapshots since then appended rows."""
        for one in self.ancestors(self.main):
            if one.snapshot_id == since:
                return True
            if one.operation != "append":
                return False
        return False

    def operations(self) -> list[Operation]:
        """Return the commits that made main, newest first; a rollback counts as a commit.

        A snapshot that was main's head once, and is no ancestor of it now, was rolled back.
        """
        found: list[Operation] = []
        chain = list(self.ancestors(self.main))
        kept = {one.snapshot_id for one in chain}
        lost = [at for at, one in enumerate(self.was_main) if one in self.by_id and one not in kept]
        # No head of its own has the first of two snapshots that were published together.
        heads = {one: at for at, one in reversed(list(enumerate(self.was_main)))}
        for one in chain:
            if lost and heads.get(one.snapshot_id, lost[-1]) < lost[-1]:
                found.append(Operation(one.snapshot_id, "rollback", {}))
                lost = []
            found.append(Operation(one.snapshot_id, one.operation, one.note))
        return found

    def find_run(
        self, key: str, value: str | None, ref: str = MAIN
    ) -> tuple[Snapshot, bool] | None:
        """Find the newest snapshot of main whose note has a key with a value (None: any value).

        Returns:
            The snapshot, and whether main was rolled back behind it; or None. A snapshot that was
            never main's, such as one on a branch, does not count.
        """
        for one in self.ancestors(self.heads.get(ref)):
            if _fits(one.note, key, value):
                return one, False
        if ref != MAIN:
            return None
        for snapshot_id in reversed(self.was_main):
            found = self.by_id.get(snapshot_id)
            if found is not None and _fits(found.note, key, value):
                return found, True
        return None


def read_snapshots(spark: SparkSession, table: str) -> Snapshots:
    """Read a table's snapshots and branches, past what the session remembers of it.

    Args:
        spark: The session.
        table: The table's name for SQL.

    *Cost:* a few small queries of the table's metadata.
    """
    spark.sql(f"REFRESH TABLE {table}").collect()
    # In this order, each head is among the snapshots, even if others commit meanwhile.
    refs = spark.sql(f"SELECT name, snapshot_id FROM {table}.refs").collect()
    log = spark.sql(f"SELECT snapshot_id FROM {table}.history ORDER BY made_current_at").collect()
    snapshots = spark.sql(
        f"SELECT snapshot_id, parent_id, operation, summary FROM {table}.snapshots"
    ).collect()
    return Snapshots(
        {
            row["snapshot_id"]: Snapshot(
                row["snapshot_id"], row["parent_id"], row["operation"], dict(row["summary"] or {})
            )
            for row in snapshots
        },
        {row["name"]: row["snapshot_id"] for row in refs},
        [row["snapshot_id"] for row in log],
    )


def note_settings(note: Mapping[str, Any]) -> dict[str, str | None]:
    """Return session settings that put a note into the snapshots of SQL statements."""
    return {_NOTE_SETTING: note_text(note)}


def _fits(note: Mapping[str, Any], key: str, value: str | None) -> bool:
    return key in note if value is None else note.get(key) == value
