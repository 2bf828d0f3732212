"""What a run needs of file systems, whichever way it reaches them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType

from dedup_lib.file_slices import FileSlice
from dedup_lib.files import ColumnChunkSizes, FileInfo, ParquetFooter
from dedup_lib.uris import scheme_of

# A rename of a directory is one step here; on object stores it is a copy.
ATOMIC_RENAME_SCHEMES = frozenset({"file", "hdfs", "viewfs"})


class Storage(ABC):
    """The file systems that a Spark session reaches, with the session's own configuration.

    Locations are paths or URIs whose characters stand for themselves; every operation raises
    `StorageError` where a file system refuses.

    Attributes:
        pyarrow_options: What pyarrow needs to reach them as well, on executors.
        is_remote: Whether the driver is another process, which may go on when this one has died.
    """

    is_remote: bool

    def __init__(self, pyarrow_options: Mapping[str, str] = MappingProxyType({})) -> None:
        self.pyarrow_options = pyarrow_options

    def renames_in_one_step(self, canonical: str) -> bool:
        """Tell whether a directory there gets another name in one step."""
        return scheme_of(canonical) in ATOMIC_RENAME_SCHEMES

    @abstractmethod
    def committer_options(self, canonical: str) -> Mapping[str, str]:
        """Return options under which Spark writes Parquet to a place without renaming files.

        None are needed where a rename is one step, and none known where nothing offers it.
        """

    @abstractmethod
    def abort_uploads(self, canonical: str) -> None:
        """Give up uploads below a place that a run which died has begun; no listing shows them."""

    @abstractmethod
    def canonical(self, location: str) -> str:
        """Return a location as an absolute URI, with `..` and needless slashes resolved.

        On the driver's own disk symbolic links are, too, where the driver is this process.
        """

    @abstractmethod
    def exists(self, location: str) -> bool:
        """Tell whether there is a file or directory."""

    @abstractmethod
    def is_directory(self, location: str) -> bool:
        """Tell whether there is a directory."""

    @abstractmethod
    def list_files(self, location: str) -> list[FileInfo]:
        """List all files below a directory (or the one file), hidden and empty ones too.

        Hadoop's checksums (`.NAME.crc`) on local disks are left out, as Hadoop does.

        Cost: one listing; about a millisecond a file, less on local disks.
        """

    @abstractmethod
    def total_bytes(self, location: str) -> int:
        """Add up the sizes of all files below a directory; 0 where there is none."""

    @abstractmethod
    def list_names(self, location: str) -> list[str]:
        """List the names of what a directory holds, files and directories; [] where none is."""

    @abstractmethod
    def find_names(
        self, directories: Sequence[str], patterns: Sequence[str]
    ) -> Sequence[Sequence[str]]:
        """Return those names in each directory that match one of some patterns.

        A directory that is not there, or may not be listed, has none. Of a file it is its name.

        Args:
            directories: Canonical locations.
            patterns: Names, in which `*` and `[…]` are a pattern.

        Cost: one listing a directory, without its names that do not match.
        """

    @abstractmethod
    def read_head(self, location: str, num_bytes: int) -> bytes:
        """Read the first bytes of a file; fewer where it is shorter."""

    @abstractmethod
    def read_text(self, location: str) -> str:
        """Read a small text file."""

    @abstractmethod
    def write_text(self, location: str, text: str) -> None:
        """Write a small text file, replacing one that is there."""

    @abstractmethod
    def touch(self, location: str) -> None:
        """Set the time when a file was modified to now; of an object store's nothing."""

    @abstractmethod
    def create_exclusive(self, location: str, text: str) -> bool:
        """Create a small text file; return False where there is one, and leave that alone.

        On object stores this is no single step.
        """

    @abstractmethod
    def make_directory(self, location: str) -> None:
        """Make a directory, with its parents."""

    @abstractmethod
    def rename(self, source: str, target: str) -> None:
        """Rename a file or directory to a name that is free.

        Hadoop's own rename moves *into* a directory that is there; this one refuses.
        """

    @abstractmethod
    def delete(self, location: str) -> None:
        """Delete a file or directory with all it holds; nothing where there is none."""

    def delete_directory(self, location: str, last: str) -> None:
        """Delete a directory with all it holds, and last what has `last` in its name.

        A deletion may be cut off.
        """
        for name in self.list_names(location):
            if last not in name:
                self.delete(f"{location}/{name}")
        self.delete(location)

    @abstractmethod
    def delete_if_empty(self, location: str) -> bool:
        """Delete a directory that holds nothing; tell whether it was one."""

    @abstractmethod
    def same_file_system(self, one: str, other: str) -> bool:
        """Tell whether a rename between two canonical locations stays on one file system."""

    @abstractmethod
    def parquet_footers(self, files: Sequence[FileInfo]) -> Iterator[ParquetFooter]:
        """Yield what the footer of each file says.

        Raises:
            StorageError: A file has no readable Parquet footer; the message names it.

        Cost: one footer a file.
        """

    @abstractmethod
    def parquet_column_sizes(self, files: Sequence[FileInfo]) -> Iterator[ColumnChunkSizes]:
        """Yield one row per file, row group (the first four of each) and leaf column."""

    @abstractmethod
    def opened(self, location: str) -> AbstractContextManager[FileSlice]:
        """Open a file for reading at any place, by one thread; others may open it as well.

        Raises:
            UnsupportedError: No file is opened from here.
        """
