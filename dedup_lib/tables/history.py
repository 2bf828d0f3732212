"""Values that describe earlier runs on a table, and what is new in it since then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame

# The key in the note of a record whose run has yet to publish its output: the name of the run's
# process, as `publish.owners` makes it.
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class EarlierRun:
    """A run that wrote a table, as its note in the table describes it.

    Attributes:
        location: The table: a canonical path, or the name in the catalog.
        note: The values that the run wrote into the table's manifest or commit.
        version: The version that the run made; None for a format without versions.
        was_undone: Whether the table was later restored to an earlier version.
        commit: The format's own description of the commit; None if there is no commit.
    """

    location: str
    note: Mapping[str, Any]
    version: int | None = None
    was_undone: bool = False
    commit: Any = None


@dataclass(frozen=True)
class Operation:
    """A commit of a table by any writer: version, the format's name of the operation, note.

    The note is empty if the commit has no note.
    """

    version: int
    name: str
    note: Mapping[str, Any]


@dataclass(frozen=True)
class ImagesState:
    """The state of an image table when a run read it.

    Attributes:
        location: The canonical URI, or the catalog name.
        image_id_column: Its ID column.
        table_id: The format's own ID of the table; None if the format has no such ID.
        version: The version; None for a format without versions.
        files: For a format without versions: size in bytes and modification time in ms of each
            data file, by its path below the table's directory. Otherwise empty.
        columns: Names and types of its columns; empty if the format finds out otherwise whether
            they changed.
    """

    location: str
    image_id_column: str
    table_id: str | None
    version: int | None
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageChanges:
    """The changes in an image table since a state.

    Attributes:
        added: The new rows, with the image table's columns; None if there are no new rows.
        changed_ids: The IDs of changed or deleted rows, one row per ID, column `image_id`; None if
            no row was changed or deleted.
    """

    added: DataFrame | None
    changed_ids: DataFrame | None


NOTHING_NEW = ImageChanges(None, None)


def note_text(note: Mapping[str, Any]) -> str:
    """Return a note as text for a table's log, safe as the value of a session setting.

    In such a value Spark would replace ${env:…} by an environment variable.
    """
    return json.dumps(note).replace("${", "\\u0024{")


def as_note(text: str) -> dict[str, Any]:
    """Parse a note. Any other text, such as that of another writer, gives an empty note."""
    try:
        note = json.loads(text)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
