"""The seam for table formats, its second half: how a table is written and published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql.types import StructType

from dedup_lib.errors import OutputExistsError, SettingsError, UnsupportedError
from dedup_lib.session.session import Session
from dedup_lib.settings import OutputMode
from dedup_lib.tables.foreign import check_written
from dedup_lib.tables.reading import ReadableFormat
from dedup_lib.tables.target import Attempt, Publishing, Staged, Target

if TYPE_CHECKING:
    from dedup_lib.tables.pinned import PinnedTable


class WritableFormat(ReadableFormat):
    """What is asked of a format whose tables are written; it refuses all by itself."""

    def find_target(
        self,
        session: Session,
        location: str,
        mode: OutputMode,
        *,
        may_replace: bool = True,
        may_append: bool = False,
        is_unfinished: bool = False,
    ) -> Target:
        """Look at the location that is to be written, and refuse what may not be replaced.

        Args:
            session: The session, with its file systems.
            location: A path, a URI, or a catalog table name.
            mode: What to do where something is there.
            may_replace: Whether what makes the output can replace a table at all.
            may_append: Whether what is there may stay, and be added to.
            is_unfinished: Whether a run that died left what is there: nobody relies on it.

        Raises:
            OutputExistsError: There is something, and it may not be replaced.
            UnsupportedError: It can't be replaced safely there.
        """
        canonical = session.storage.canonical(location)
        if not canonical.rpartition("/")[2] or canonical.count("/") < 1:
            raise SettingsError(f"output {location!r} is the root of a file system.")
        if not self.traits.takes_commits or not session.storage.is_remote:
            check_written(session.storage, canonical, "output")
        exists = session.storage.exists(canonical)
        publishing = self.publishing(session, canonical, exists=exists)
        if publishing == "marker" and exists:
            exists = self.is_finished_at(session, canonical)
        target = Target(
            canonical, self.name, mode, publishing, canonical, exists, may_replace=may_replace
        )
        if exists and mode == "error" and not may_append:
            raise target.exists_error()
        if exists:
            self.check_replaceable(session, canonical)
            if not is_unfinished:
                self.check_replacing(session, target)
        return target

    def publishing(self, session: Session, location: str, *, exists: bool) -> Publishing:
        """Return how an output at a canonical path is published."""
        raise UnsupportedError(f"--output-format {self.name}: such a table can't be written.")

    def is_finished_at(self, session: Session, location: str) -> bool:
        """Tell whether a marked output was finished, so that somebody may rely on it."""
        return True

    def check_replaceable(self, session: Session, location: str) -> None:
        """Check that there is a table of this format at a canonical path.

        Raises:
            OutputExistsError: It is something else.
        """
        if not self.is_at(session, location):
            raise OutputExistsError(
                f"output {location!r} exists and is not a {self.title} table: it is not replaced. "
                "Choose another place."
            )

    def check_replacing(self, session: Session, target: Target) -> None:
        """Check that a table can be replaced where it is.

        Raises:
            UnsupportedError: It can't.
        """

    def check_keeps(self, table: PinnedTable) -> None:
        """Check that Spark can write a table's columns to this format as they are.

        Raises:
            ColumnTypeError: It would change one.
        """

    def writer_options(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return those of the chosen session settings that its writer takes as options."""
        return {}

    def prepare_writer(self, writer: DataFrameWriter, *, is_changed_later: bool) -> DataFrameWriter:
        """Return a writer for an output; `is_changed_later`: rows will be deleted from it."""
        return writer

    def stage(
        self,
        session: Session,
        target: Target,
        writer: DataFrameWriter,
        attempt: Attempt,
        *,
        schema: StructType,
        num_rows: int,
        note: Mapping[str, Any],
    ) -> Staged:
        """Write a table where no reader sees it, or in one commit.

        Args:
            session: The session, with its file systems.
            target: What is to be written.
            writer: The rows, with their partitioning and options.
            attempt: Where to stage.
            schema: Of the rows.
            num_rows: How many rows the plan comes to.
            note: What a commit shall say of itself.

        Returns:
            What was written, yet to be verified.
        """
        raise UnsupportedError(f"--output-format {self.name}: Spark can't write such a table.")

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count the rows of what was written, without trust in any statistic.

        Raises:
            VerificationError: A file is broken.
        """
        raise NotImplementedError

    def count_marked(self, session: Session, staged: Staged, column: str) -> int:
        """Count the rows of what was written whose boolean column is true."""
        raise NotImplementedError

    def written_bytes(self, session: Session, staged: Staged) -> int:
        """Return the size of the data files of what was written."""
        return sum(file.size_bytes for file in session.storage.list_files(staged.location))

    def undo(self, staged: Staged) -> str | None:
        """Return the command that undoes a commit that was made; None where nothing was."""
        return None

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Put a verified table in its location, in one step (two for a replaced directory).

        Args:
            session: The session, with its file systems.
            staged: What was written.
            attempt: The run's attempt at it.
            note: For the manifest, or the commit.

        Raises:
            ConflictError: Another run is publishing, or has published, to the same location.
        """
        raise NotImplementedError

    def append_row(
        self,
        session: Session,
        location: str,
        row: DataFrame,
        *,
        name: str,
        check: Callable[[StructType, bool], None],
    ) -> None:
        """Append a row of metrics to a table, which is made where there is none.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.
            row: The row.
            name: A name of its own, for a file.
            check: Checks the columns of what is there; whether it needs all is its second argument.

        Raises:
            OutputExistsError: There is something else.
        """
        raise UnsupportedError(f"metrics can't be appended to a {self.title} table.")
