"""What is known of a file: by a listing, and by its Parquet footer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FileInfo:
    """One file: its path as a URI whose characters stand for themselves, size and time."""

    path: str
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True)
class ParquetFooter:
    """What the footer of a Parquet file says: its schema as text, and how many rows it has.

    Names in the text are spelled as JSON (`schema_text`).
    """

    path: str
    schema: str
    num_rows: int


@dataclass(frozen=True)
class ColumnChunkSizes:
    """What one leaf column weighs in a sample of files, and the codec it is stored with."""

    column: str
    codec: str
    compressed_bytes: int
    uncompressed_bytes: int


@dataclass(frozen=True)
class ColumnChunk:
    """Where a leaf column of a row group is, and what is needed to read it.

    Attributes:
        place: Of its first page in the file.
        num_bytes: Its pages, headers included.
        codec: Its compression, in lower case.
        definition_level: The highest: that of a value which is there.
        is_repeated: Whether a row may have several values.
    """

    place: int
    num_bytes: int
    codec: str
    definition_level: int
    is_repeated: bool


@dataclass(frozen=True)
class RowGroup:
    """A row group of a file, its rows counted from the file's first, and its leaf columns."""

    first_row: int
    num_rows: int
    chunks: Mapping[tuple[str, ...], ColumnChunk]
