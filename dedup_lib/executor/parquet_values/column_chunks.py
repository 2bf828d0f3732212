"""Find the column chunks of some rows in a Parquet file, from its footer, without any library.

This does not use pyarrow, because a damaged or encrypted column in a footer ends its process.

Source: Apache Parquet, file format: parquet.thrift
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dedup_lib.executor.parquet_values.file_slices import (
    FileSlice,
    Hold,
    UnreadValueError,
    explain_damage,
)
from dedup_lib.executor.parquet_values.thrift import read_struct

# Most footers are shorter, and a store answers a request of this size without delay.
_TAIL_BYTES = 64 * 1024
# Each megabyte of a footer takes 0.2 s and 25 MB of memory.
_MOST_FOOTER_BYTES = 8 * 1024**2
_HELD_PER_FOOTER_BYTE = 25
_MOST_DEPTH = 64
_BYTE_ARRAY = 6
_OPTIONAL, _REPEATED = 1, 2
_CODECS = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4_raw")
# The names of a leaf column, from the outside to the inside.
LeafColumn = tuple[str, ...]


class FieldColumn(LeafColumn):
    """A leaf column that is found by its field ID; by its names in a file without field IDs.

    The names are those of the table. Columns are equal if their names are.

    Attributes:
        field_id: The ID that the schema of a file gives to the column.
    """

    field_id: int

    def __new__(cls, names: Iterable[str], field_id: int) -> Self:
        """Make a column from its names, from outside to inside, and its ID."""
        column = super().__new__(cls, names)
        column.field_id = field_id
        return column

    def __getnewargs__(self) -> tuple[tuple[str, ...], int]:
        """Return what `__new__` needs, for copies on executors."""
        return tuple(self), self.field_id


@dataclass(frozen=True)
class ColumnChunk:
    """The values of a leaf column in one row group, and how they are stored.

    Attributes:
        offset: The offset of the first page in the file.
        num_bytes: The size of the pages, with their headers.
        num_values: The number of values, with NULLs.
        codec: The compression, in lower case.
        definition_level: The level of a value that is not NULL.
    """

    offset: int
    num_bytes: int
    num_values: int
    codec: str
    definition_level: int


@dataclass(frozen=True)
class RowGroup:
    """A row group of a file.

    Attributes:
        first_row: The index of the first row in the file.
        num_rows: The number of rows.
        chunks: The chunks of the leaf columns; or the reason why a column's values can't be read.
    """

    first_row: int
    num_rows: int
    chunks: Mapping[LeafColumn, ColumnChunk | UnreadValueError]

    def chunk(self, column: LeafColumn) -> ColumnChunk:
        """Return a column's chunk.

        Raises:
            UnreadValueError: The column does not exist, or its values can't be read.
        """
        missing = UnreadValueError(f"the file has no column {'.'.join(column)!r}")
        if isinstance(found := self.chunks.get(column, missing), UnreadValueError):
            raise found
        return found


@dataclass(frozen=True)
class _Node:
    """A column or a group of a schema."""

    definition_level: int
    is_repeated: bool


def row_groups(
    file: FileSlice, rows: Collection[int], columns: Collection[LeafColumn], hold: Hold
) -> list[RowGroup]:
    """Find the row groups that hold some rows, and some leaf columns in them.

    Args:
        file: The whole file.
        rows: The row indexes in the file.
        columns: The leaf columns.
        hold: A context that is entered while a footer is in memory.

    Raises:
        UnreadValueError: The footer can't be read.

    *Cost:* the footer: usually one read of 64 KB.
    """
    with explain_damage():
        footer = read_footer(file)
    with explain_damage(), hold(_HELD_PER_FOOTER_BYTE * len(footer)):
        metadata, _ = read_struct(footer, 0)
        leaves = dict(_find_leaves(metadata[2]))
        names = _names_in_file(metadata[2], columns)
        found, first = [], 0
        for group in metadata[4]:
            num_rows = int(group[3])
            if any(first <= row < first + num_rows for row in rows):
                chunks = dict(_find_chunks(group[1], leaves, names))
                found.append(RowGroup(first, num_rows, chunks))
            first += num_rows
    return found


def read_footer(file: FileSlice) -> bytes:
    """Return the footer of a file.

    Raises:
        UnreadValueError: There is no footer that can be read.
    """
    start = max(file.num_bytes - _TAIL_BYTES, 0)
    tail = file.read(start, _TAIL_BYTES)
    if tail[-4:] == b"PARE":
        raise UnreadValueError("its footer is encrypted")
    if tail[-4:] != b"PAR1":
        raise UnreadValueError("it is not a Parquet file")
    num_bytes = int.from_bytes(tail[-8:-4], "little")
    if num_bytes > _MOST_FOOTER_BYTES:
        raise UnreadValueError(f"its footer has {num_bytes / 1e6:,.0f} MB")
    if num_bytes + 8 <= len(tail):
        return tail[-8 - num_bytes : -8]
    footer = file.part(file.num_bytes - 8 - num_bytes, num_bytes)
    return footer.read(0, num_bytes)


def walk_schema(
    elements: Sequence[Mapping[int, Any]],
) -> Iterator[tuple[LeafColumn, Mapping[int, Any]]]:
    """Yield each group and column of a schema, with its path; the members of a group follow it."""
    path: LeafColumn = ()
    open_groups = [(int(elements[0].get(5, 0)), path)]
    for element in elements[1:]:
        while not open_groups[-1][0]:
            open_groups.pop()
        left, path = open_groups.pop()
        open_groups.append((left - 1, path))
        if len(path) > _MOST_DEPTH:
            raise UnreadValueError("its columns are nested too deeply")
        path = (*path, element[4].decode("utf-8", errors="replace"))
        if num_members := int(element.get(5, 0)):
            open_groups.append((num_members, path))
        yield path, element


def _find_leaves(elements: Sequence[Mapping[int, Any]]) -> Iterator[tuple[LeafColumn, _Node]]:
    nodes: dict[LeafColumn, _Node] = {(): _Node(0, is_repeated=False)}
    for path, element in walk_schema(elements):
        group, repetition = nodes[path[:-1]], element.get(3, 0)
        nodes[path] = _Node(
            group.definition_level + (repetition in (_OPTIONAL, _REPEATED)),
            group.is_repeated or repetition == _REPEATED,
        )
        if not element.get(5):
            yield path, nodes[path]


def _find_chunks(
    chunks: Sequence[Mapping[int, Any]],
    leaves: Mapping[LeafColumn, _Node],
    names: Mapping[LeafColumn, LeafColumn],
) -> Iterator[tuple[LeafColumn, ColumnChunk | UnreadValueError]]:
    for path, chunk in zip(leaves, chunks, strict=True):
        if path in names:
            try:
                yield names[path], _parse_chunk(chunk, leaves[path])
            except UnreadValueError as reason:
                yield names[path], reason


def _names_in_file(
    elements: Sequence[Mapping[int, Any]], columns: Collection[LeafColumn]
) -> dict[LeafColumn, LeafColumn]:
    """Return the wanted columns by their paths in a file."""
    by_id = {element[9]: path for path, element in walk_schema(elements) if 9 in element}
    found: dict[LeafColumn, LeafColumn] = {}
    for column in columns:
        if not isinstance(column, FieldColumn) or not by_id:
            found[tuple(column)] = column
        elif column.field_id in by_id:
            found[by_id[column.field_id]] = column
    return found


def _parse_chunk(chunk: Mapping[int, Any], leaf: _Node) -> ColumnChunk:
    if chunk.get(1):
        raise UnreadValueError("its pages are in another file")
    if 8 in chunk:
        raise UnreadValueError("its column is encrypted")
    metadata = chunk[3]
    if metadata[1] != _BYTE_ARRAY:
        raise UnreadValueError("its column has a type that can't hold images")
    if leaf.is_repeated:
        raise UnreadValueError("a row may have several values")
    first, dictionary = int(metadata[9]), int(metadata.get(11, 0))
    return ColumnChunk(
        # Some writers give the offset of a dictionary that does not exist.
        offset=dictionary if 0 < dictionary < first else first,
        num_bytes=int(metadata[7]),
        num_values=int(metadata[5]),
        codec=_CODECS[metadata[4]],
        definition_level=leaf.definition_level,
    )
