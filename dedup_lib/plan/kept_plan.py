"""Read a removal plan that an earlier run kept, and check that it is for the same table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import (
    DedupError,
    PlanMismatchError,
    UnsupportedError,
)
from dedup_lib.lists.removal_list import sum_of_hashes
from dedup_lib.locations import is_path
from dedup_lib.plan.removal_plan import kept_schema
from dedup_lib.redaction import redact
from dedup_lib.session.session import Session
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.pinned import Pinned
from dedup_lib.tables.registry import format_of

_NOTED = ("images", "digest", "counts", "report", "refused")
# The key in a plan's manifest or Delta commit. Its value identifies the plan's table and lists.
PLAN_NOTE = "made_for"
_ID_COLUMN = "image ID column"
_AGAIN = "Make the plan again: --dry-run --removed-output …"


@dataclass(frozen=True)
class KeptPlan(Pinned):
    """A plan that an earlier run kept.

    Attributes:
        rows: The rows of `removal_plan.kept_schema`, lazily.
        note: The facts about the plan's table and lists, as the earlier run wrote them.
        lists: The lists, and the condition of --protect-where, as the earlier run reported them, by
            the settings' names.
        run: The name of the run that made it.
    """

    rows: DataFrame
    note: Mapping[str, Any]
    lists: Mapping[str, Any]
    run: str

    @property
    def digest(self) -> str:
        """The digest of the rows, as the earlier run wrote it."""
        return str(self.note["digest"])

    def described(self) -> dict[str, object]:
        """Return what the report says about the plan."""
        return {**super().described(), "run": self.run, **self.lists}


def images_note(session: Session, images: ImageTable) -> dict[str, Any]:
    """Return the facts that identify a pinned image table, for a plan's note."""
    return {
        "image table": redact(images.location),
        "format": images.format,
        "ID of the Delta table": images.table_format.table_id(session, images),
        "version": images.version,
        "fingerprint of the files": images.fingerprint,
        _ID_COLUMN: images.table_format.id_origin(images),
        "type of the image IDs": images.id_type.simpleString(),
    }


def digest_of(rows: DataFrame) -> str:
    """Return the digest of plan rows: their number and the sum of their hashes, in any order.

    *Cost:* one pass over the plan.
    """
    row = rows.agg(F.count(F.lit(1)), sum_of_hashes(*rows.columns)).collect()[0]
    return f"{row[0]}-{int(row[1]):x}"


def read_kept_plan(
    session: Session,
    location: str,
    images: ImageTable,
) -> KeptPlan:
    """Find a plan and its note. The rows are lazy; `check_whole` compares them with the note.

    Args:
        session: The session, with its file systems.
        location: The location where --removed-output kept the plan.
        images: The pinned image table.

    Raises:
        TableNotFoundError: There is nothing at the location.
        PlanMismatchError: It is not a plan, or its columns or ID type do not fit this table.
        UnsupportedError: The image table's location holds a secret, which plans never contain.
    """
    if redact(images.root) != images.root:
        raise UnsupportedError(
            "--apply-plan can't find a plan's files if the image table's location holds a secret: "
            "give credentials in Spark's settings."
        )
    schema = kept_schema(images.id_type)
    location = session.storage.canonical(location) if is_path(location) else location
    table_format = format_of(session, location)
    found, rows = table_format.read_kept(session, location, schema)
    kept_by = table_format.find_run(session, location, PLAN_NOTE, None)
    note = {} if kept_by is None else kept_by.note
    _check_note(note, location)
    made_for = note[PLAN_NOTE]
    _check_type(made_for, images, location)
    if [(it.name, it.dataType) for it in rows.schema] != [(it.name, it.dataType) for it in schema]:
        raise PlanMismatchError(f"plan {location!r} has other columns than a plan. {_AGAIN}")
    lists = {name: note["inputs"].get(name, []) for name in ("duplicate_ids", "protect_ids")}
    if (condition := note["inputs"].get("protect_where")) is not None:
        lists["protect_where"] = condition
    return KeptPlan(
        found.location,
        found.format,
        found.version,
        found.fingerprint,
        rows=rows,
        note=made_for,
        lists=lists,
        run=str(note["run"]),
    )


def ids_from(session: Session, location: str) -> str | None:
    """Return where a plan says that the IDs are in the images; None if it can't be read."""
    try:
        location = session.storage.canonical(location) if is_path(location) else location
        kept_by = format_of(session, location).find_run(session, location, PLAN_NOTE, None)
        note = {} if kept_by is None else kept_by.note
        _check_note(note, location)
    except DedupError:
        return None
    return str(note[PLAN_NOTE]["images"].get(_ID_COLUMN))


def check_same_table(kept: KeptPlan, now: Mapping[str, Any]) -> None:
    """Check that a plan was made for the image table as it is now.

    Args:
        kept: The plan.
        now: The table's note, from `images_note`.

    Raises:
        PlanMismatchError: Something differs; the message gives both values.
    """
    changed = list(_changes(kept.note["images"], now))
    if changed:
        raise PlanMismatchError(
            f"plan {kept.location!r} does not fit the table as it is now: {'; '.join(changed)}. "
            f"{_AGAIN}"
        )


def check_whole(kept: KeptPlan, rows: DataFrame) -> None:
    """Check that a plan's rows are those that the earlier run kept.

    Args:
        kept: The plan.
        rows: Its rows, evaluated.

    Raises:
        PlanMismatchError: The rows differ.
    """
    found = digest_of(rows)
    if found != kept.digest:
        raise PlanMismatchError(
            f"plan {kept.location!r} has changed since it was kept: it has "
            f"{found.partition('-')[0]} rows (digest {found}), and had "
            f"{kept.digest.partition('-')[0]} (digest {kept.digest}). "
            f"Edited plans are not applied: use --protect-ids to keep images. {_AGAIN}"
        )


def _check_note(note: Mapping[str, Any], location: str) -> None:
    made_for = note.get(PLAN_NOTE)
    if not isinstance(made_for, dict) or not set(_NOTED) <= made_for.keys():
        raise PlanMismatchError(
            f"{location!r} does not say which image table it is for: it is not a removal plan, or "
            f"an older version kept it. {_AGAIN}"
        )


def _check_type(made_for: Mapping[str, Any], images: ImageTable, location: str) -> None:
    """Check the ID type before the rows are read; `check_same_table` compares the rest later."""
    key = "type of the image IDs"
    found = images.id_type.simpleString()
    if (before := made_for["images"].get(key)) != found:
        raise PlanMismatchError(
            f"plan {location!r} does not fit the table as it is now: {key}: was {before}, is "
            f"{found}. {_AGAIN}"
        )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in now.items():
        if before.get(name) != value:
            yield f"{name}: was {before.get(name)!r}, is {value!r}"
