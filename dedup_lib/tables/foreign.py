"""Recognise directories of tables whose metadata says which rows are valid, by their entries."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from itertools import pairwise

from dedup_lib.errors import OutputExistsError, TableFormatError
from dedup_lib.executor.shards.compressed import SHARD_SUFFIXES
from dedup_lib.executor.shards.metadata_files import metadata_path
from dedup_lib.locations import child, name_of, with_parents
from dedup_lib.session.storage import FileInfo, Storage

_UUID = "-".join("[0-9a-f]" * length for length in (8, 4, 4, 4, 12))


@dataclass(frozen=True)
class TableKind:
    """A kind of table whose files alone do not say which rows are valid.

    Attributes:
        name: The name for messages, such as "lies in the … table".
        signs: Groups of entries. A directory that has all entries of one group is such a table.
            An entry is `name` or `directory/name`. A name may be a pattern with `*` and `[…]`.
        truth: The part of the table that says which rows are valid.
        advice: What the user can do if such a table was given as an input.
    """

    name: str
    signs: tuple[tuple[str, ...], ...]
    truth: str
    advice: str


def _write_anew(reader: str) -> str:
    return f"Read the table by {reader}, write it as Parquet or Delta, and give that copy."


DELTA = TableKind("Delta table", (("_delta_log",),), "its log", "Give the table itself.")
# The order matters: a Delta table may keep metadata for Iceberg and Hudi readers beside its log.
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
        "Give the table by its name in an Iceberg catalog, such as catalog.schema.table.",
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
# WebDataset's shards.
TAR_SUFFIXES = (*SHARD_SUFFIXES, ".tar.xz", ".tar.bz2")
_GROUPS = [group for kind in KINDS for group in kind.signs]
_DEEP = [entry.partition("/") for group in _GROUPS for entry in group if "/" in entry]
# Names to find in a directory, sub-directories to look into, and names to find there.
_NAMES = sorted({entry.partition("/")[0] for group in _GROUPS for entry in group})
_DIRECTORIES = {directory for directory, _, _ in _DEEP}
_BELOW = sorted({name for _, _, name in _DEEP})
_IS_NAME = re.compile("|".join(map(translate, _NAMES)))


@dataclass(frozen=True)
class FoundTable:
    """A table that is at a location or around it.

    Attributes:
        kind: The kind of the table.
        root: The canonical URI of the table's directory.
        sign: The entry of this directory that identifies the kind.
    """

    kind: TableKind
    root: str
    sign: str

    def described(self, subject: str, location: str) -> str:
        """Describe whether a location is the table, or lies in it."""
        name = self.kind.name
        if self.root != location:
            relation = f"lies in the {name} {self.root!r}"
        else:
            relation = f"is {_article(self.kind)} {name}"
        return f"{subject} {relation} (known by its {self.sign!r})"


def kind_of(entries: Collection[str]) -> tuple[TableKind, str] | None:
    """Find the kind of table that a directory is, if any, from its entries.

    Args:
        entries: The names in the directory, and the names one level below as `directory/name`.

    Returns:
        The kind, and the entry that identifies it.
    """
    for kind in KINDS:
        for group in kind.signs:
            found = [_first_like(pattern, entries) for pattern in group]
            if found[0] is not None and None not in found:
                return kind, found[0]
    return None


def find_table(storage: Storage, location: str) -> FoundTable | None:
    """Find the innermost table that a canonical location is, or lies in.

    If the location itself is a Delta table, return None: the library reads and writes Delta.
    A directory that can't be listed for lack of permission counts as empty.

    *Cost:* one listing of the location and of each directory above it, and one listing of each
    `metadata`, `schema` and `_versions` in these; over Spark Connect one or two tasks.
    """
    directories = with_parents(location)
    for directory, entries in zip(directories, _entries_of(storage, directories), strict=True):
        if (found := kind_of(entries)) is not None:
            is_delta_itself = directory == location and found[0] is DELTA
            return None if is_delta_itself else FoundTable(found[0], directory, found[1])
    return None


def _entries_of(storage: Storage, directories: Sequence[str]) -> list[set[str]]:
    """List entries that may identify a table, in a location and in each directory above it."""
    entries = [set(names) for names in storage.find_names(directories, _NAMES)]
    entries[0].discard(name_of(directories[0]))  # the listing of a file has the file itself
    for inner, outer in pairwise(range(len(directories))):
        entries[outer].add(name_of(directories[inner]))  # even if `outer` can't be listed
    deeper = [(n, name) for n, names in enumerate(entries) for name in names & _DIRECTORIES]
    if deeper:
        found = storage.find_names([child(directories[n], name) for n, name in deeper], _BELOW)
        for (n, directory), names in zip(deeper, found, strict=True):
            entries[n].update(child(directory, name) for name in names)
    return entries


def check_read(storage: Storage, location: str, what: str) -> None:
    """Refuse to read files of a table that can't be read correctly without its metadata.

    Args:
        storage: The session's file systems.
        location: A canonical location.
        what: For the error message: the role of the location in the run.

    Raises:
        TableFormatError: The location is or lies in such a table.
    """
    if (found := find_table(storage, location)) is not None:
        said = found.described(f"{what} {location!r}", location)
        raise TableFormatError(_not_read(said, found.kind))


def check_written(storage: Storage, location: str, what: str) -> None:
    """Refuse to write into a table whose metadata would not list the new files.

    Raises:
        OutputExistsError: The canonical location is such a table, or lies in one.
    """
    if (found := find_table(storage, location)) is not None:
        said = found.described(f"{what} {location!r}", location)
        raise OutputExistsError(
            f"{said}. Writing there could destroy it, and its clean-up could delete the new "
            "files. Choose a location outside of it."
        )


def check_files(files: Sequence[FileInfo], location: str, subject: str) -> None:
    """Refuse files that belong to a table of another kind, by all names below a directory.

    Args:
        files: Files in the directory.
        location: The canonical URI of the directory.
        subject: For the error message: the role of the directory, and its location.

    Raises:
        TableFormatError: The directory or one below it is such a table.
    """
    below = _entries_below(files, location)
    for directory in sorted(below):
        if (found := kind_of(below[directory])) is not None:
            kind, sign = found
            said = f"{subject} holds {child(directory, sign)!r} of {_article(kind)} {kind.name}"
            raise TableFormatError(_not_read(said, kind))


def _entries_below(files: Sequence[FileInfo], location: str) -> dict[str, set[str]]:
    """Collect entries that may identify a table, for the directory and those below it."""
    found: dict[str, set[str]] = {}
    root = location.rstrip("/")
    names = _by_directory(file.path for file in files if file.path != location)
    while names:  # first the files, then their directories, and so on
        for directory, inside in names.items():
            found.setdefault(directory, set()).update(filter(_IS_NAME.match, inside))
            outer, _, name = directory.rpartition("/")
            if name in _DIRECTORIES and directory != root:
                found.setdefault(outer, set()).update(child(name, entry) for entry in inside)
        names = _by_directory(directory for directory in names if len(directory) > len(root))
    return found


def _by_directory(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        found.setdefault(directory, []).append(name)
    return found


def check_no_shards(files: Sequence[FileInfo], subject: str) -> None:
    """Refuse tar files: their images are not in the Parquet files beside them.

    Raises:
        TableFormatError: There is a tar file. Its `other_format` is that of shards, unless there is
            a Parquet file that is the metadata file of no shard.
    """
    shards = [file.path for file in files if file.path.lower().endswith(TAR_SUFFIXES)]
    if not shards:
        return
    metadata = set(map(metadata_path, shards))
    tables = (file.path for file in files if file.path.lower().endswith(".parquet"))
    if (alone := next((path for path in tables if path not in metadata), None)) is not None:
        raise TableFormatError(
            f"{subject} holds {shards[0]!r}: these are WebDataset shards. But it also holds "
            f"{alone!r}, which has the name of no shard. If the images are in the tar files, use "
            "--images-format webdataset; otherwise move the tar files away."
        )
    raise TableFormatError(
        f"{subject} holds {shards[0]!r}: these are WebDataset shards. Their images are in tar "
        "files; Parquet files beside them hold only facts about the images. As an image table, use "
        "--images-format webdataset (or auto).",
        other_format="webdataset",
    )


def _not_read(said: str, kind: TableKind) -> str:
    return (
        f"{said}. Only {kind.truth} says which rows are valid: its files also hold rows that were "
        f"deleted, replaced or never committed. {kind.advice}"
    )


def _article(kind: TableKind) -> str:
    return "an" if kind.name[0] in "AEIOU" else "a"


def _first_like(pattern: str, entries: Collection[str]) -> str | None:
    return min((entry for entry in entries if fnmatchcase(entry, pattern)), default=None)
