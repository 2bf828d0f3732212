"""What tables of plain files share: their files are compared, and their directories published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dedup_lib.errors import InputChangedError, UnsupportedError
from dedup_lib.locations import decode_path, get_scheme
from dedup_lib.publish.marker import is_incomplete, mark
from dedup_lib.publish.promote import rename_into_place
from dedup_lib.session.session import Session
from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.directory import changed_while_planning
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.pinned import PinnedTable
from dedup_lib.tables.target import Attempt, Publishing, Staged, Target


def check_same(listed: Iterable[FileInfo], pinned: Iterable[FileInfo]) -> None:
    """Check that pinned files are listed with the same sizes and times.

    Raises:
        InputChangedError: A file was changed or deleted.
    """
    now = set(listed)
    for file in pinned:
        if file not in now:
            raise InputChangedError(
                f"file {file.path!r} of the image table was changed or deleted during the run; "
                "nothing was published. Run again when no one writes there."
            )


class FilesFormat(TableFormat):
    """A format whose tables are directories of plain files, without a log.

    Attributes:
        instead: For messages: what to do where a directory can't be replaced.
    """

    instead = "Choose another location."

    def check_unchanged(self, session: Session, table: PinnedTable) -> None:
        """List the files again, and compare."""
        check_same(session.storage.list_files(table.root), table.files)

    def check_all_read(self, table: PinnedTable, counted: Sequence[FileRows]) -> None:
        """Compare paths, sizes and times."""
        empty = {file.path for file in table.empty_files}
        pinned = {file.path: (file.size_bytes, file.modified_ms) for file in table.files}
        read = {
            decode_path(file.file_path): (file.size_bytes, file.modified_ms) for file in counted
        }
        for path in sorted(pinned.keys() | read.keys()):
            if path not in empty and pinned.get(path) != read.get(path):
                raise changed_while_planning(path)

    def publishing(self, session: Session, location: str, *, exists: bool) -> Publishing:
        """Return `rename` if a rename is one step; otherwise `marker`."""
        return "rename" if session.storage.renames_in_one_step(location) else "marker"

    def is_finished_at(self, session: Session, location: str) -> bool:
        """Look at the manifest, because S3A finds even an empty directory."""
        is_started = is_incomplete(session.storage, location)
        return not is_started and bool(session.storage.list_files(location))

    def check_replacing(self, session: Session, target: Target) -> None:
        """Refuse if the replacement takes more than two renames."""
        if target.is_marked:
            raise UnsupportedError(
                f"output {target.location!r}: a {self.title} directory can't be replaced on "
                f"{get_scheme(target.location)}, which can't rename in one step. {self.instead}"
            )
        if session.storage.is_remote:
            raise UnsupportedError(
                f"output {target.location!r}: a {self.title} directory can't be replaced over "
                f"Spark Connect, which has no renames. {self.instead}"
            )

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Mark the output as complete at its location, or rename it to its location."""
        target = staged.target
        if target.is_marked:
            mark(session.storage, target.location, note, attempt.attempt_id)
        else:
            rename_into_place(session, staged, attempt, note)
