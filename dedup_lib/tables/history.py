"""What a table says of the runs that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame


@dataclass(frozen=True)
class EarlierRun:
    """A run that wrote a table, by the note that it left there.

    Attributes:
        location: The table: a canonical path, or the name in the catalog.
        note: What the run wrote into the table's manifest, or into its commit.
        version: The version that the run made; None for a format without versions.
        was_undone: Whether the table was restored to an earlier version since.
        commit: The format's own description of the commit; None where there is none.
    """

    location: str
    note: Mapping[str, Any]
    version: int | None = None
    was_undone: bool = False
    commit: Any = None


@dataclass(frozen=True)
class ImagesState:
    """An image table as a run had it.

    Attributes:
        location: The canonical URI, or the catalog name.
        image_id_column: Its ID column.
        table_id: The format's own ID of the table; None where it has none.
        version: The version; None for a format without versions.
        files: For a format without versions: size in bytes and time in ms of each data file, by
            its path below the table's directory; else empty.
    """

    location: str
    image_id_column: str
    table_id: str | None
    version: int | None
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageChanges:
    """What is new in an image table since a state.

    Attributes:
        added: The rows that came, with the image table's columns; None where none did.
        touched: One row per ID of rows that were changed or deleted, `image_id`; None where none
            were.
    """

    added: DataFrame | None
    touched: DataFrame | None


NOTHING_NEW = ImageChanges(None, None)
