"""The files of a list in text: their first bytes, and their lines.

Spark reads the lines in parallel. It tells that something is wrong, but not where: then the driver
reads them again, one after another.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import ColumnTypeError, StorageError, UnreadableFileError
from dedup_lib.lists.files import TextFormat
from dedup_lib.lists.text.lines import BadLineError, Checks, check_lines
from dedup_lib.lists.text.rows import TextRows
from dedup_lib.lists.wanted import WantedList
from dedup_lib.session.conf import FILE_READER_OPTIONS
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo

# What the driver reads as a whole. It is sent with each query.
LARGEST_BYTES = 16 * 1024**2
HEAD_BYTES = 64 * 1024
# A column of text that is NULL in all rows that can be read.
BAD = "\ufffebad"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
# zlib's name for the format of gzip.
_GZIP = 31


@dataclass(frozen=True)
class TextFiles:
    """The files of a list, all of one format.

    Attributes:
        session: The session, with its file systems.
        files: The files.
        form: Their format.
        wanted: The list.
    """

    session: Session
    files: Sequence[FileInfo]
    form: TextFormat
    wanted: WantedList

    @property
    def paths(self) -> list[str]:
        """The paths of the files."""
        return [file.path for file in self.files]

    @property
    def texts(self) -> DataFrame:
        """One row per line, lazily: `value`, without a byte order mark at the beginning."""
        reader = self.session.spark.read.options(**FILE_READER_OPTIONS)
        return reader.text(self.paths).select("value")

    def named(self, file: FileInfo) -> str:
        """Return a file, for messages."""
        what = self.wanted.what
        return what if file.path == self.wanted.location else f"{what}, file {file.path!r}"

    def head(self, file: FileInfo, num_bytes: int = HEAD_BYTES) -> bytes:
        """Read the first bytes of a file, which may be compressed by gzip.

        Raises:
            UnreadableFileError: The file can't be read, or is not text in UTF-8.
        """
        try:
            head = self.session.storage.read_head(file.path, num_bytes)
            if file.path.lower().endswith(".gz"):
                head = _inflated(head, num_bytes)
        except (StorageError, zlib.error) as error:
            raise UnreadableFileError(f"{self.named(file)} can't be read: {error}.") from error
        if head.startswith(_WIDE_BOMS) or b"\0" in head:
            raise UnreadableFileError(
                f"{self.named(file)} is not text in UTF-8, but UTF-16 or no text at all. Write it "
                "in UTF-8."
            )
        return head

    def content(self, file: FileInfo, why: str) -> bytes:
        """Read a whole file.

        Args:
            file: The file.
            why: For the error message: why the driver reads it as a whole.

        Raises:
            UnreadableFileError: The file is too large, or as for `head`.
        """
        data = self.head(file, LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise UnreadableFileError(
                f"{self.named(file)} {why}, and more than {LARGEST_BYTES // 1024**2} MB: write it "
                "as Parquet, CSV or JSON Lines."
            )
        return data

    def checked(self, rows: TextRows) -> TextRows:
        """Refuse the rows if `BAD` says so, and return them without it.

        Raises:
            UnreadableFileError: A row can't be read.
        """
        if rows.types[BAD] != "void":
            self.find({})
            raise UnreadableFileError(f"{self.wanted.what} has rows that can't be read.")
        types = {name: of for name, of in rows.types.items() if name != BAD}
        return replace(rows, frame=rows.frame.drop(BAD), types=types, find=self.find)

    def find(self, checks: Checks) -> None:
        """Read the files line by line, and raise an error at the first line that is wrong.

        Raises:
            UnreadableFileError: A line can't be read.
            ColumnTypeError: A value of a column to check has another type.
        """
        for file in self.files:
            try:
                check_lines(self.form, self.lines_of(file), checks)
            except BadLineError as error:
                kind = ColumnTypeError if error.is_type else UnreadableFileError
                raise kind(f"{self.named(file)}: {error.reason}.") from error

    def lines_of(self, file: FileInfo) -> Iterator[bytes]:
        """Yield the lines of a file in order, without line feeds."""
        reader = self.session.spark.read.options(**FILE_READER_OPTIONS).option("lineSep", "\n")
        lines = reader.text(file.path).select(F.col("value").cast("binary"))
        return (bytes(row[0]) for row in lines.toLocalIterator())


def _inflated(data: bytes, num_bytes: int) -> bytes:
    """Return the first bytes that gzip compressed; a file may have several members."""
    text = b""
    while data and len(text) < num_bytes:
        member = zlib.decompressobj(_GZIP)
        text += member.decompress(data, num_bytes - len(text))
        data = member.unused_data
    return text
