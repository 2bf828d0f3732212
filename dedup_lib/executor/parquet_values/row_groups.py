"""Where a Parquet file has the columns of its rows, by its footer, without any library.

Source: Apache Parquet, file format: parquet.thrift
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dedup_lib.executor.parquet_values.file_slices import (
    FileSlice,
    Hold,
    UnreadValueError,
    damage_is_a_reason,
)
from dedup_lib.executor.parquet_values.thrift import read_struct

# As much as most footers take, and as one request of a store gives without taking longer.
_TAIL_BYTES = 64 * 1024
# Each megabyte takes 0.2 s, and 25 MB of memory.
_MOST_FOOTER_BYTES = 8 * 1024**2
_HELD_FOR_EACH = 25
_MOST_DEPTH = 64
_BYTE_ARRAY = 6
_OPTIONAL, _REPEATED = 1, 2
_CODECS = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4_raw")
# A leaf column's names from outside to inside.
LeafColumn = tuple[str, ...]


@dataclass(frozen=True)
class ColumnChunk:
    """Where a leaf column of a row group is, and what is needed to read it.

    Attributes:
        place: Of its first page in the file.
        num_bytes: Its pages, headers included.
        num_values: NULLs included.
        codec: Its compression, in lower case.
        definition_level: The highest: that of a value which is there.
    """

    place: int
    num_bytes: int
    num_values: int
    codec: str
    definition_level: int


@dataclass(frozen=True)
class RowGroup:
    """A row group of a file, its rows counted from the file's first, and its leaf columns.

    A column of which no single value can be read has the reason in its place.
    """

    first_row: int
    num_rows: int
    chunks: Mapping[LeafColumn, ColumnChunk | UnreadValueError]

    def chunk(self, column: LeafColumn) -> ColumnChunk:
        """Return where a column is.

        Raises:
            UnreadValueError: It isn't there, or not to be read here.
        """
        missing = UnreadValueError(f"the file has no column {'.'.join(column)!r}")
        if isinstance(found := self.chunks.get(column, missing), UnreadValueError):
            raise found
        return found


@dataclass(frozen=True)
class _Leaf:
    definition_level: int
    is_repeated: bool


def row_groups(
    file: FileSlice, rows: Collection[int], columns: Collection[LeafColumn], hold: Hold
) -> list[RowGroup]:
    """Tell where a file has some leaf columns of some rows, counted from its first.

    Args:
        file: The whole of it.
        rows: The rows.
        columns: The columns.
        hold: Entered while a footer is held in memory.

    Raises:
        UnreadValueError: It can't be told.

    *Cost:* the footer: mostly one read of 64 KB.
    """
    with damage_is_a_reason():
        footer = _footer(file)
    with damage_is_a_reason(), hold(_HELD_FOR_EACH * len(footer)):
        metadata, _ = read_struct(footer, 0)
        leaves = dict(_leaves(metadata[2]))
        found, first = [], 0
        for group in metadata[4]:
            num_rows = int(group[3])
            if any(first <= row < first + num_rows for row in rows):
                found.append(RowGroup(first, num_rows, dict(_chunks(group[1], leaves, columns))))
            first += num_rows
    return found


def _footer(file: FileSlice) -> bytes:
    start = max(file.num_bytes - _TAIL_BYTES, 0)
    tail = file.read(start, _TAIL_BYTES)
    if tail[-4:] == b"PARE":
        raise UnreadValueError("its footer is encrypted")
    if tail[-4:] != b"PAR1":
        raise UnreadValueError("it is no Parquet file")
    num_bytes = int.from_bytes(tail[-8:-4], "little")
    if num_bytes > _MOST_FOOTER_BYTES:
        raise UnreadValueError(f"its footer is of {num_bytes / 1e6:,.0f} MB")
    if num_bytes + 8 <= len(tail):
        return tail[-8 - num_bytes : -8]
    footer = file.part(file.num_bytes - 8 - num_bytes, num_bytes)
    return footer.read(0, num_bytes)


def _leaves(elements: Sequence[Mapping[int, Any]]) -> Iterator[tuple[LeafColumn, _Leaf]]:
    """Walk through a schema, in which what is nested follows what it is in."""
    path: LeafColumn = ()
    nested = [(int(elements[0].get(5, 0)), path, _Leaf(0, is_repeated=False))]
    for element in elements[1:]:
        while not nested[-1][0]:
            nested.pop()
        left, path, outer = nested.pop()
        nested.append((left - 1, path, outer))
        if len(path) > _MOST_DEPTH:
            raise UnreadValueError("its columns are nested too deep")
        path = (*path, element[4].decode("utf-8", errors="replace"))
        repetition = element.get(3, 0)
        leaf = _Leaf(
            outer.definition_level + (repetition in (_OPTIONAL, _REPEATED)),
            outer.is_repeated or repetition == _REPEATED,
        )
        if children := int(element.get(5, 0)):
            nested.append((children, path, leaf))
        else:
            yield path, leaf


def _chunks(
    chunks: Sequence[Mapping[int, Any]],
    leaves: Mapping[LeafColumn, _Leaf],
    columns: Collection[LeafColumn],
) -> Iterator[tuple[LeafColumn, ColumnChunk | UnreadValueError]]:
    for path, chunk in zip(leaves, chunks, strict=True):
        if path in columns:
            try:
                yield path, _chunk(chunk, leaves[path])
            except UnreadValueError as why:
                yield path, why


def _chunk(chunk: Mapping[int, Any], leaf: _Leaf) -> ColumnChunk:
    if chunk.get(1):
        raise UnreadValueError("its pages are in another file")
    if 8 in chunk:
        raise UnreadValueError("its column is encrypted")
    metadata = chunk[3]
    if metadata[1] != _BYTE_ARRAY:
        raise UnreadValueError("its column is of a type that has no images")
    if leaf.is_repeated:
        raise UnreadValueError("a row may have several values")
    first, dictionary = int(metadata[9]), int(metadata.get(11, 0))
    return ColumnChunk(
        # Some writers name a dictionary where there is none.
        place=dictionary if 0 < dictionary < first else first,
        num_bytes=int(metadata[7]),
        num_values=int(metadata[5]),
        codec=_CODECS[metadata[4]],
        definition_level=leaf.definition_level,
    )
