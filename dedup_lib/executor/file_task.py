"""The input and the result of a task that rewrites a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dedup_lib.executor.kept_rows import Bitmap
from dedup_lib.executor.stores import FileRefusedError


@dataclass(frozen=True)
class FileTask:
    """A file to rewrite.

    Attributes:
        source: The URI of the file, with literal characters.
        target: The URI of the file to write.
        partial_directory: The URI of a directory for unfinished files. If it is None, they are
            written to the executor's disk, and uploaded when they are finished.
        size_bytes: The size of the source when the run was planned.
        num_rows: The rows of the source when the run was planned, without hidden rows.
        keeps_empty: Whether to write a file even if it gets no row.
        visible: The rows that the table shows, with the checksums of their IDs: its log may hide
            others. None if no row is hidden.
        planned_ids: The bytes of the IDs of the planned rows, or the digits of numbers, where the
            table has no positions; otherwise None.
    """

    source: str
    target: str
    partial_directory: str | None
    size_bytes: int
    num_rows: int
    keeps_empty: bool
    visible: Sequence[Bitmap] | None = None
    planned_ids: Sequence[bytes] | None = None


class Directories(NamedTuple):
    """The directories of all files, as `FileTask` says: what a row of each file need not repeat."""

    source: str
    target: str
    partial: str | None

    def task_of(self, file: Any) -> FileTask:
        """Return the task of a row: `path` below both directories, and other fields of a task."""
        return FileTask(
            source=f"{self.source}/{file['path']}",
            target=f"{self.target}/{file['path'].lstrip('/')}",  # a store may list `a//b`
            partial_directory=self.partial,
            size_bytes=file["size_bytes"],
            num_rows=file["num_rows"],
            keeps_empty=file["keeps_empty"],
            visible=file["visible"],
            planned_ids=file["planned_ids"],
        )


class RowSelection(NamedTuple):
    """The rows to write.

    Attributes:
        action: `remove` writes the rows that stay; `extract` writes the duplicates; `annotate`
            writes all rows, with two more columns.
        id_column: The column of the image ID.
    """

    action: str = "remove"
    id_column: str = ""


class Rewritten(NamedTuple):
    """The result of rewriting a file.

    Attributes:
        num_rows: The number of rows in the new file.
        written_bytes: The size of the new file; 0 if no file was written.
        is_copy: Whether the file was copied without changes.
        is_counted: Whether the rows were counted by reading the new file where it was published
            from; not by what was meant to be written, and not before an upload.
        left_out: Why a file beside it was not written; None if there is no such file.
        renamed_rows: The rows that their ID could not name in shards.
    """

    num_rows: int
    written_bytes: int
    is_copy: bool
    is_counted: bool = False
    left_out: str | None = None
    renamed_rows: int = 0


def describe_outcome(function: Callable[..., Rewritten], *arguments: Any) -> tuple[Any, ...]:
    """Call a function; return what it did, as columns, and the kind and text of a refusal.

    If a retry may help, the error is raised, so that Spark retries.
    """
    try:
        done = function(*arguments)
    except FileRefusedError as error:
        return 0, 0, 0, False, None, 0, error.kind, str(error)
    num_rows, written_bytes, is_copy, *others = done
    return num_rows, written_bytes, int(is_copy), *others, None, None
