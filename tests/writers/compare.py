"""What an output must hold, worked out by pyarrow from the source files, and where it differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from dedup_lib.executor.writer_options import schema_lines
from tests.support.tables.same_rows import as_parquet, slices, spelled

Action = Literal["remove", "annotate", "extract"]
MARKS = ["is_duplicate", "kept_image_id"]
# What Spark writes instead, by docs/engines.md: ENUM as STRING, a column without a type as int32.
_BY_SPARK = {
    ("BYTE_ARRAY", "Enum"): ("BYTE_ARRAY", "String"),
    ("INT32", "Null"): ("INT32", "None"),
}
NULL_PART = "__HIVE_DEFAULT_PARTITION__"
_CODECS = {"LZ4": "LZ4_RAW"}


class DifferenceError(Exception):
    """An output is not what it must be."""


@dataclass(frozen=True)
class Source:
    """The source of a run, and what is known of it without reading it.

    Attributes:
        folder: The image table.
        images: A digest of the image of each row, by the row's number.
        gone: The numbers of the rows that the list names.
        action: What the run did.
        unread: The columns that pyarrow can't read, and that are not compared therefore.
    """

    folder: Path
    images: dict[int, str]
    gone: frozenset[int]
    action: Action
    unread: frozenset[str] = frozenset()

    def is_written(self, row: int) -> bool:
        """Whether the output has a row."""
        return self.action == "annotate" or (row in self.gone) == (self.action == "extract")

    def written(self, table: pa.Table) -> pa.Table:
        """The rows of a table that the output has."""
        rows = table["row"].to_pylist()
        return slices(table, [n for n, row in enumerate(rows) if self.is_written(row)])

    def read(self, file: Path) -> pa.Table:
        """Read a file without the columns that pyarrow can't read."""
        return read(file, self.unread)


def check_source(source: Source) -> None:
    """Check that pyarrow reads the rows and images that the writer was given."""
    found = [pair for file in files_of(source.folder) for pair in _images(source.read(file))]
    _same("rows of the source", sorted(found), sorted(source.images.items()))


def unread_columns(folder: Path) -> dict[str, Exception]:
    """The columns that pyarrow can't read in some file of a table, and its errors."""
    found: dict[str, Exception] = {}
    for path in files_of(folder):
        try:
            read(path)
        except Exception:
            for name in pq.read_schema(path).names:
                try:
                    pq.ParquetFile(path).read(columns=[name])
                except Exception as error:
                    found[name] = error
    return found


def check_arrow(source: Source, output: Path) -> None:
    """Compare the output of the engine `arrow`, file by file."""
    expected = {}
    for file in files_of(source.folder):
        expected[file.relative_to(source.folder)] = source.written(source.read(file))
    found = {file.relative_to(output) for file in files_of(output)}
    needed = {path for path, rows in expected.items() if rows.num_rows}
    known = {file.relative_to(source.folder) for file in files_of(source.folder)}
    if not needed <= found <= known:
        raise DifferenceError(f"files: expected {sorted(needed)}, found {sorted(found)}")
    for path in sorted(found):
        _check_file(source, expected[path], source.folder / path, output / path)


def _check_file(source: Source, rows: pa.Table, one: Path, other: Path) -> None:
    path, before, after = one.name, pq.ParquetFile(one), pq.ParquetFile(other)
    written = source.read(other)
    is_same = source.action != "annotate"
    if not is_same:
        _check_marks(path, source, written)
        written = written.drop_columns(MARKS)
    _same(f"{path}: types", written.schema.remove_metadata(), rows.schema.remove_metadata())
    if as_parquet(written) != as_parquet(rows):
        raise DifferenceError(f"{path}: values: {_first_difference(rows, written)}")
    lines = schema_lines(after.schema)
    if is_same:
        _same(f"{path}: Parquet types", lines, schema_lines(before.schema))
        _same(f"{path}: key-values", _key_values(after), _key_values(before))
    if rows.num_rows:
        _same(f"{path}: columns", _facts(after, before), _facts(before, before))


def _key_values(file: pq.ParquetFile) -> dict[bytes, bytes]:
    # pandas' note on an index that numbers the rows is fitted to them.
    return {k: v for k, v in (file.metadata.metadata or {}).items() if k != b"pandas"}


def _facts(file: pq.ParquetFile, of: pq.ParquetFile) -> list[tuple[str, str]]:
    """Path and codec of the source's columns in the first row group.

    A column of bytes that its codec hardly makes smaller may be left uncompressed.
    """
    if of.metadata.num_row_groups == 0:
        return []
    found = []
    for n in range(of.metadata.num_columns):
        chunk, before = (one.metadata.row_group(0).column(n) for one in (file, of))
        is_left = chunk.compression == "UNCOMPRESSED" and _gains_little(of.metadata, n)
        codec = (before if is_left else chunk).compression
        found.append((chunk.path_in_schema, _CODECS.get(codec, codec)))
    return found


def _gains_little(metadata: pq.FileMetaData, n: int) -> bool:
    leaf = metadata.schema.column(n)
    chunks = [metadata.row_group(group).column(n) for group in range(metadata.num_row_groups)]
    compressed = sum(chunk.total_compressed_size for chunk in chunks)
    return (
        (leaf.physical_type, leaf.logical_type.type) == ("BYTE_ARRAY", "NONE")
        and not any("DICTIONARY" in encoding for chunk in chunks for encoding in chunk.encodings)
        and compressed >= 0.97 * sum(chunk.total_uncompressed_size for chunk in chunks)
    )


def check_spark(source: Source, output: Path, output_format: str) -> None:
    """Compare the output of the engine `spark`, row by row."""
    before = [(_parts(file, source.folder), source.read(file)) for file in files_of(source.folder)]
    names: dict[str, str] = {}
    if output_format == "delta":
        delta = _DeltaOutput(output)
        names = delta.names
        found = [
            (parts, rows.drop_columns([*source.unread & {*rows.column_names}]))
            for parts, rows in delta.tables
        ]
    else:
        found = [(_parts(file, output), source.read(file)) for file in files_of(output)]
    keys = sorted({key for parts, _ in before for key in parts})
    expected = [(parts, source.written(table)) for parts, table in before]
    if source.action == "annotate":
        for _, table in found:
            _check_marks("output", source, table)
        found = [(parts, table.drop_columns(MARKS)) for parts, table in found]
    _same_rows(_rows(found, keys, names), _rows(expected, keys, {}))
    with_rows = [table for _, table in found if table.num_rows]
    if with_rows and output_format == "parquet":
        examples = files_of(source.folder)[:1], files_of(output)[:1]
        one, other = (_leaves(file, keys, source.action) for (file,) in examples)
        _same("Parquet types", other, [_BY_SPARK.get(leaf, leaf) for leaf in one])


def _leaves(file: Path, keys: list[str], action: Action) -> Any:
    schema = pq.read_metadata(file).schema
    leaves = [schema.column(n) for n in range(len(schema))]
    return [
        ("decimal" if kind == "Decimal" else leaf.physical_type, _spelled_type(leaf))
        for leaf in leaves
        for kind in [str(leaf.logical_type).partition("(")[0]]
        if leaf.path not in {*keys, *MARKS}
    ]


def _spelled_type(leaf: pq.ColumnSchema) -> str:
    text = str(leaf.logical_type)
    is_plain = text in {"Int(bitWidth=32, isSigned=true)", "Int(bitWidth=64, isSigned=true)"}
    return "None" if is_plain else text


def _rows(
    tables: list[tuple[dict[str, str], pa.Table]], keys: list[str], names: dict[str, str]
) -> list[tuple[Any, ...]]:
    """Each row's number, what its directory says of it, and its values as text."""
    return sorted(
        (row, sorted(parts.items()), _renamed(text, names))
        for parts, table in tables
        for dropped in [table.drop_columns([key for key in keys if key in table.column_names])]
        for row, text in zip(table["row"].to_pylist(), spelled(dropped), strict=True)
    )


def _renamed(text: str, names: dict[str, str]) -> str:
    for physical, name in names.items():
        if physical != name:  # a UUID, which is nowhere else
            text = text.replace(repr(physical), repr(name))
    return text


def _same_rows(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    numbers = [[row[0] for row in rows] for rows in (found, expected)]
    if numbers[0] != numbers[1]:
        extra, lost = set(numbers[0]) - set(numbers[1]), set(numbers[1]) - set(numbers[0])
        raise DifferenceError(f"rows: {sorted(extra)[:9]} too many, {sorted(lost)[:9]} lost")
    for one, other in zip(found, expected, strict=True):
        _same(f"row {other[0]}", one, other)


def _check_marks(path: str, source: Source, table: pa.Table) -> None:
    marked = table["is_duplicate"].to_pylist()
    _same(f"{path}: marks", marked, [row in source.gone for row in table["row"].to_pylist()])
    _same(f"{path}: keepers", table["kept_image_id"].null_count, table.num_rows)


def _first_difference(expected: pa.Table, found: pa.Table) -> str:
    for name in expected.column_names:
        pairs = zip(expected[name].to_pylist(), found[name].to_pylist(), strict=False)
        for one, other in pairs:
            if repr(one) != repr(other):
                return f"column {name!r}: {one!r} became {other!r}"
    return f"{expected.num_rows} rows, {found.num_rows} in the output"


def _same(what: str, found: Any, expected: Any) -> None:
    if found == expected:
        return
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=False):
            if one != other:
                found, expected = one, other
                break
    raise DifferenceError(f"{what}: {str(found)[:300]}, expected {str(expected)[:300]}")


def _images(table: pa.Table) -> Iterator[tuple[int, str]]:
    images = table["image"].to_pylist()
    for row, image in zip(table["row"].to_pylist(), images, strict=True):
        yield row, hashlib.sha256(image).hexdigest()


def read(file: Path, unread: Collection[str] = ()) -> pa.Table:
    """Read a file as it is, without some columns, and without what its directories say."""
    opened = pq.ParquetFile(file)
    if not unread:
        return opened.read()
    return opened.read(columns=[name for name in opened.schema_arrow.names if name not in unread])


def files_of(folder: Path) -> list[Path]:
    """The data files of a Parquet table."""
    return sorted(folder.rglob("*.parquet"))


def _parts(file: Path, folder: Path) -> dict[str, str]:
    """What the directories of a file say, by column."""
    names = file.parent.relative_to(folder).parts
    return {key: unquote(value) for key, _, value in (name.partition("=") for name in names)}


class _DeltaOutput:
    """A Delta table without deletions, as its log says: files, partition values, names.

    Args:
        table: Its directory.
    """

    def __init__(self, table: Path) -> None:
        commits = sorted((table / "_delta_log").glob("*.json"))
        lines = [line for commit in commits for line in commit.read_text().splitlines()]
        actions = [json.loads(line) for line in lines]
        (schema,) = (json.loads(a["metaData"]["schemaString"]) for a in actions if "metaData" in a)
        self.names = dict(_physical_names(schema))
        self.tables = [self._read(table, action["add"]) for action in actions if "add" in action]

    def _read(self, table: Path, added: dict[str, Any]) -> tuple[dict[str, str], pa.Table]:
        values = {self.names.get(k, k): value for k, value in added["partitionValues"].items()}
        rows = read(table / unquote(added["path"]))
        renamed = rows.rename_columns([self.names[name] for name in rows.column_names])
        return {k: NULL_PART if v is None else v for k, v in values.items()}, renamed


def _physical_names(kind: Any) -> Iterator[tuple[str, str]]:
    """Each field's name in the files, and its own, from a Delta schema."""
    if isinstance(kind, dict):
        for field in kind.get("fields", ()):
            physical = field["metadata"].get("delta.columnMapping.physicalName", field["name"])
            yield physical, field["name"]
            yield from _physical_names(field["type"])
        for inner in ("elementType", "keyType", "valueType"):
            yield from _physical_names(kind.get(inner))
