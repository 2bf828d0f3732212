"""Directories of tables whose own metadata says which rows count, known by what is in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from itertools import pairwise

from dedup_lib.errors import OutputExistsError, TableFormatError
from dedup_lib.locations import child, name_of, with_parents
from dedup_lib.session.storage import FileInfo, Storage

_UUID = "-".join("[0-9a-f]" * length for length in (8, 4, 4, 4, 12))


@dataclass(frozen=True)
class TableKind:
    """A kind of table whose files alone do not say which rows count.

    Attributes:
        name: As in "lies in the … table".
        marks: Groups of entries; a directory that has all entries of one group is such a table.
            An entry is `name` or `directory/name`; in a name, `*` and `[…]` are a pattern.
        truth: What says which rows count.
        advice: What to do, where such a table was given as an input.
    """

    name: str
    marks: tuple[tuple[str, ...], ...]
    truth: str
    advice: str


def _write_anew(reader: str) -> str:
    return f"Read the table by {reader}, write it anew as Parquet or Delta, and give that."


DELTA = TableKind("Delta table", (("_delta_log",),), "its log", "Give the table itself.")
# The order counts: a Delta table may keep metadata for readers of Iceberg and Hudi beside its log.
KINDS = (
    DELTA,
    TableKind(
        "Iceberg table",
        (
            ("metadata/*.metadata.json",),
            ("metadata/*.metadata.json.gz",),
            ("metadata/version-hint.text",),
        ),
        "its metadata",
        _write_anew("Spark with its Iceberg catalog"),
    ),
    TableKind(
        "Hudi table",
        ((".hoodie",), (".hoodie_partition_metadata",), (".hoodie_partition_metadata.*",)),
        "its timeline",
        _write_anew("Spark as format 'hudi'"),
    ),
    TableKind(
        "Paimon table",
        (("snapshot", "manifest", "bucket-*"), ("snapshot", "manifest", "schema/schema-*")),
        "its newest snapshot",
        _write_anew("Spark with its Paimon catalog"),
    ),
    TableKind(
        "Lance table",
        (("_versions/*.manifest",), ("_versions", "_transactions"), ("_versions", "_deletions")),
        "its newest version",
        _write_anew("Lance"),
    ),
    TableKind(
        "DuckLake table",
        ((f"ducklake-{_UUID}.parquet",), (f"ducklake-{_UUID}-delete.parquet",)),
        "its catalog database",
        _write_anew("DuckDB with its DuckLake catalog"),
    ),
    TableKind(
        "Spark streaming output",
        (("_spark_metadata",),),
        "its _spark_metadata",
        _write_anew("Spark, from the whole directory"),
    ),
)
_GROUPS = [group for kind in KINDS for group in kind.marks]
_DEEP = [entry.partition("/") for group in _GROUPS for entry in group if "/" in entry]
# What is looked for in a directory, which of it is looked into, and for what.
_NAMES = sorted({entry.partition("/")[0] for group in _GROUPS for entry in group})
_DIRECTORIES = {directory for directory, _, _ in _DEEP}
_BELOW = sorted({name for _, _, name in _DEEP})
# Names that tell of a table without others.
_TELLING = re.compile("|".join(translate(group[0]) for group in _GROUPS if len(group) == 1))


@dataclass(frozen=True)
class FoundTable:
    """A table that a location is, or lies in.

    Attributes:
        kind: What it is.
        root: The canonical URI of its directory.
        mark: The entry of this directory by which it is known.
    """

    kind: TableKind
    root: str
    mark: str

    def described(self, subject: str, location: str) -> str:
        """Say what something at a location has to do with the table."""
        name = self.kind.name
        if self.root != location:
            relation = f"lies in the {name} {self.root!r}"
        else:
            relation = f"is {'an' if name[0] in 'AEIOU' else 'a'} {name}"
        return f"{subject} {relation} (known by its {self.mark!r})"


def kind_of(entries: Collection[str]) -> tuple[TableKind, str] | None:
    """Tell what table a directory is, if any, by its entries.

    Args:
        entries: Names of what is in the directory, and as `directory/name` what is below these.

    Returns:
        The kind, and the entry by which it is known.
    """
    for kind in KINDS:
        for group in kind.marks:
            found = [_first_like(pattern, entries) for pattern in group]
            if found[0] is not None and None not in found:
                return kind, found[0]
    return None


def find_table(storage: Storage, location: str) -> FoundTable | None:
    """Find the table that a canonical location is, or lies in; of several the innermost.

    A location that is a Delta table itself is not looked at: Delta is read and written as such.
    A directory that may not be listed counts as empty.

    *Cost:* one listing of the location and of each directory above it, and one of each
    `metadata`, `schema` and `_versions` there; over Spark Connect one or two tasks.
    """
    directories = with_parents(location)
    for directory, entries in zip(directories, _entries_of(storage, directories), strict=True):
        if (found := kind_of(entries)) is not None:
            is_delta_itself = directory == location and found[0] is DELTA
            return None if is_delta_itself else FoundTable(found[0], directory, found[1])
    return None


def _entries_of(storage: Storage, directories: Sequence[str]) -> list[set[str]]:
    """List what may tell of a table in a location and in each directory above it."""
    entries = [set(names) for names in storage.find_names(directories, _NAMES)]
    entries[0].discard(name_of(directories[0]))  # a file, which lists itself
    for inner, outer in pairwise(range(len(directories))):
        entries[outer].add(name_of(directories[inner]))  # also where it may not be listed
    deeper = [(n, name) for n, names in enumerate(entries) for name in names & _DIRECTORIES]
    if deeper:
        found = storage.find_names([child(directories[n], name) for n, name in deeper], _BELOW)
        for (n, directory), names in zip(deeper, found, strict=True):
            entries[n].update(child(directory, name) for name in names)
    return entries


def check_read(storage: Storage, location: str, what: str) -> None:
    """Refuse to read files of a table that its own metadata alone can read right.

    Args:
        storage: The session's file systems.
        location: A canonical location.
        what: What it is to the run, for the message.

    Raises:
        TableFormatError: The location is or lies in such a table.
    """
    if (found := find_table(storage, location)) is not None:
        said = found.described(f"{what} {location!r}", location)
        raise TableFormatError(_not_read(said, found.kind))


def check_written(storage: Storage, location: str, what: str) -> None:
    """Refuse to write where files belong to a table that does not know of ours.

    Raises:
        OutputExistsError: The canonical location is or lies in such a table.
    """
    if (found := find_table(storage, location)) is not None:
        said = found.described(f"{what} {location!r}", location)
        raise OutputExistsError(
            f"{said}. Writing there could destroy it, and its own clean-up could delete what was "
            "written. Choose a place outside of it."
        )


def check_files(files: Sequence[FileInfo], subject: str) -> None:
    """Refuse files whose names say that a table of another kind keeps its rows there.

    Raises:
        TableFormatError: There is one.
    """
    named = ((name_of(file.path), file.path) for file in files)
    paths = {name: path for name, path in named if _TELLING.match(name)}
    if (found := kind_of(paths)) is not None:
        kind, name = found
        raise TableFormatError(_not_read(f"{subject} holds {paths[name]!r} of a {kind.name}", kind))


def _not_read(said: str, kind: TableKind) -> str:
    return (
        f"{said}. Only {kind.truth} says which rows count: its files also hold rows that were "
        f"deleted, replaced or never committed. {kind.advice}"
    )


def _first_like(pattern: str, entries: Collection[str]) -> str | None:
    return min((entry for entry in entries if fnmatchcase(entry, pattern)), default=None)
