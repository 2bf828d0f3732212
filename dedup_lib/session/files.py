"""What is known of a file: by a listing, and by its Parquet footer."""

from __future__ import annotations

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
