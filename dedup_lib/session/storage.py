"""The file systems that a Spark session reaches, and the facts about files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from dedup_lib.executor.parquet_values import FileSlice
from dedup_lib.locations import get_scheme

# These file systems rename a directory in one step; an object store copies its files one by one.
ATOMIC_RENAME_SCHEMES = frozenset({"file", "hdfs", "viewfs"})
# DuckDB, among others, says so of its integers. It is true of each integer of that size.
_SAYS_NOTHING = {("int32", "INTEGER(32,true)"), ("int64", "INTEGER(64,true)")}


@dataclass(frozen=True)
class FileInfo:
    """A file in a listing.

    Attributes:
        path: The URI. The characters are literal: nothing is percent-encoded.
        size_bytes: The size.
        modified_ms: The time of the last change, in milliseconds since 1970.
    """

    path: str
    size_bytes: int
    modified_ms: int


class Leaf(NamedTuple):
    """A leaf column of a Parquet schema: one that holds values, not other columns.

    Attributes:
        path: The names, from outside to inside.
        repetition: `required`, `optional` or `repeated`. Within a group, Spark Connect also takes
            the repetition of the group into account.
        physical: The physical type as Parquet's Java spells it, such as `binary` or `int96`.
        logical: The logical type in the same way, such as `STRING` or `INTEGER(8,true)`; None if
            there is no logical type.
    """

    path: tuple[str, ...]
    repetition: str
    physical: str
    logical: str | None

    @classmethod
    def of(cls, path: Sequence[str], repetition: str, physical: str, logical: str | None) -> Leaf:
        """Make a leaf column of the facts in a footer; a logical type that says nothing is None."""
        says_nothing = (physical, logical) in _SAYS_NOTHING
        return cls(tuple(path), repetition, physical, None if says_nothing else logical)

    @property
    def dotted_path(self) -> str:
        """The names with dots between them."""
        return ".".join(self.path)


@dataclass(frozen=True)
class ParquetSchema:
    """The schema of a Parquet file.

    Attributes:
        digest: A hash of the schema. It also covers facts that are not in `leaves`, such as the
            types of groups.
        leaves: The leaf columns, in order.
    """

    digest: str
    leaves: tuple[Leaf, ...] = field(compare=False)


@dataclass(frozen=True)
class ParquetFooter:
    """The facts in the footer of a Parquet file: its schema, and its number of rows."""

    path: str
    schema: ParquetSchema
    num_rows: int


@dataclass(frozen=True)
class ColumnChunkSizes:
    """The size of one leaf column in one row group, and its codec."""

    column: str
    codec: str
    compressed_bytes: int
    uncompressed_bytes: int


class Storage(ABC):
    """The file systems that a Spark session reaches, with the configuration of the session.

    A location is a path or URI with literal characters. A canonical location comes
    from `canonical`. Every method raises `StorageError` if a file system refuses.

    Attributes:
        pyarrow_options: Options with which pyarrow reaches the same file systems on executors.
        is_remote: Whether the driver is another process, which may go on after this one died.
    """

    is_remote: bool

    def __init__(self, pyarrow_options: Mapping[str, str] = MappingProxyType({})) -> None:
        self.pyarrow_options = pyarrow_options

    def renames_in_one_step(self, canonical: str) -> bool:
        """Tell whether a directory at a location is renamed in one step."""
        return get_scheme(canonical) in ATOMIC_RENAME_SCHEMES

    @abstractmethod
    def committer_options(self, canonical: str) -> Mapping[str, str]:
        """Return options with which Spark writes Parquet to a location without renaming files.

        The result is empty if a rename is one step, or if the store offers no other way.
        """

    @abstractmethod
    def abort_uploads(self, canonical: str) -> None:
        """Abort uploads that a dead run began below a location; no listing shows them."""

    @abstractmethod
    def canonical(self, location: str) -> str:
        """Return a location as an absolute URI, without `..` and needless slashes.

        On a local disk symbolic links are also resolved if the driver is this process.
        """

    @abstractmethod
    def exists(self, location: str) -> bool:
        """Tell whether there is a file or directory at a location."""

    @abstractmethod
    def is_directory(self, location: str) -> bool:
        """Tell whether there is a directory at a location."""

    @abstractmethod
    def list_files(self, location: str) -> list[FileInfo]:
        """List all files below a directory, or a single file; also hidden and empty files.

        Hadoop's checksums on local disks (`.NAME.crc`) are left out, as Hadoop does.

        *Cost:* one listing. The driver needs 0.02 ms for each file, and 1 ms where Java's class
        does not print its facts, as of Azure. Java holds the listing meanwhile.
        """

    @abstractmethod
    def total_bytes(self, location: str) -> int:
        """Add up the sizes of all files below a directory; 0 if there is no such directory."""

    @abstractmethod
    def find_names(
        self, directories: Sequence[str], patterns: Sequence[str]
    ) -> Sequence[Sequence[str]]:
        """Return the names in each directory that match at least one pattern.

        A directory that is missing or can't be listed has no names. A file has only its own name.

        Args:
            directories: Canonical locations.
            patterns: Names, which may have `*` and `[…]` as patterns.

        *Cost:* one listing for each directory; it returns only the matching names.
        """

    @abstractmethod
    def list_names(self, location: str) -> list[str]:
        """List the names of files and directories in a directory; [] if there is no directory."""

    @abstractmethod
    def read_head(self, location: str, num_bytes: int) -> bytes:
        """Read the first bytes of a file; fewer if it is shorter."""

    @abstractmethod
    def read_text(self, location: str) -> str:
        """Read a small text file."""

    @abstractmethod
    def write_text(self, location: str, text: str) -> None:
        """Write a small text file, and replace an older file."""

    @abstractmethod
    def touch(self, location: str) -> None:
        """Set the modification time of a file to now."""

    @abstractmethod
    def create_exclusive(self, location: str, text: str) -> bool:
        """Create a small text file; if it exists already, leave it unchanged and return False.

        On object stores this is not one step: two writers may both succeed.
        """

    @abstractmethod
    def make_directory(self, location: str) -> None:
        """Make a directory, with its parents."""

    @abstractmethod
    def rename(self, source: str, target: str) -> None:
        """Rename a file or directory; nothing may exist under the new name.

        If a directory exists there, Hadoop's rename would move the source *into* it; this function
        refuses.
        """

    @abstractmethod
    def delete(self, location: str) -> None:
        """Delete a file, or a directory with its content; do nothing if it does not exist."""

    def delete_directory(self, location: str, last: str) -> None:
        """Delete a directory with its content; entries with `last` in their name are deleted last.

        So they still exist if the deletion is interrupted.
        """
        for name in self.list_names(location):
            if last not in name:
                self.delete(f"{location}/{name}")
        self.delete(location)

    @abstractmethod
    def delete_if_empty(self, location: str) -> bool:
        """Delete a directory if it is empty; tell whether it was deleted."""

    @abstractmethod
    def same_file_system(self, one: str, other: str) -> bool:
        """Tell whether a rename from one canonical location to another is possible."""

    @abstractmethod
    def read_footers(self, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
        """Yield the facts from the Parquet footer of each file.

        Raises:
            StorageError: A file has no readable Parquet footer; the message names it.
            UnreadableFileError: A file is sound, but Spark does not know the type of a column.

        *Cost:* one footer for each file.
        """

    @abstractmethod
    def read_column_sizes(self, files: Sequence[FileInfo]) -> Iterator[ColumnChunkSizes]:
        """Yield the size of each leaf column in the first four row groups of each file."""

    @abstractmethod
    def open_file(self, location: str) -> AbstractContextManager[FileSlice]:
        """Open a file; one thread may read from it, at any offset.

        Raises:
            UnsupportedError: Files can't be opened in this process.
        """
