"""The second half of the base class of table formats: write and publish tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from dedup_lib.errors import DedupError, OutputExistsError, SettingsError, UnsupportedError
from dedup_lib.executor.annotated_rows import IS_DUPLICATE
from dedup_lib.session.session import Session
from dedup_lib.settings import OutputMode
from dedup_lib.tables.foreign import check_written
from dedup_lib.tables.reading import ReadableFormat
from dedup_lib.tables.target import NO_ORIGIN, Attempt, Origin, Publishing, Staged, Target

if TYPE_CHECKING:
    from dedup_lib.tables.pinned import PinnedTable


class WritableFormat(ReadableFormat):
    """The methods of a format for writing; by default, a format can't be written."""

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
        """Examine the location of an output, and refuse it if the run may not replace its content.

        Args:
            session: The session, with its file systems.
            location: A path, a URI, or a catalog table name.
            mode: What to do if something is there.
            may_replace: Whether the method that makes the output can replace a table at all.
            may_append: Whether the run may add to an existing table.
            is_unfinished: Whether a run that died left the content, so that nobody relies on it.

        Raises:
            OutputExistsError: Something is there, and the run may not replace it.
            UnsupportedError: The existing table can't be replaced safely.
            SettingsError: The location is the root of a file system.
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
        """Tell whether an output with a marker is complete, so that somebody may rely on it."""
        return True

    def check_replaceable(self, session: Session, location: str) -> None:
        """Check that there is a table of this format at a canonical path.

        Raises:
            OutputExistsError: Something else is there.
        """
        if not self.is_at(session, location):
            raise OutputExistsError(
                f"output {location!r} exists and is not a {self.title} table: it is not replaced. "
                "Choose another location."
            )

    def check_replacing(self, session: Session, target: Target) -> None:
        """Check that a table can be replaced at its location.

        Raises:
            UnsupportedError: The table can't be replaced.
        """

    def check_keeps(self, table: PinnedTable) -> None:
        """Check that Spark can write a table's columns to this format as they are.

        Raises:
            ColumnTypeError: Spark would change a column.
        """

    def writer_options(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the chosen session settings that the format's writer accepts as options."""
        return {}

    def prepare_writer(self, writer: DataFrameWriter, *, is_changed_later: bool) -> DataFrameWriter:
        """Return a writer for an output; `is_changed_later`: a later step deletes rows from it."""
        return writer

    def with_note(self, rows: DataFrame, note: Mapping[str, Any]) -> DataFrame:
        """Return a record's rows with a note that stays with their files, if there is no log."""
        return rows

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
        origin: Origin = NO_ORIGIN,
    ) -> Staged:
        """Write a table where no reader sees it, or in one commit.

        Args:
            session: The session, with its file systems.
            target: The table to write.
            writer: The rows, with their partitioning and options.
            attempt: The run's attempt, which says where to stage.
            schema: The schema of the rows.
            num_rows: How many rows the plan expects.
            note: The note for the commit.
            origin: What the rows are from.

        Returns:
            The written table, not yet verified.
        """
        raise UnsupportedError(f"--output-format {self.name}: Spark can't write such a table.")

    def why_no_files(self, target: Target | None) -> DedupError | None:
        """Return why a table can't be made of files that executors write, or None."""
        return None

    def adopt_files(self, session: Session, staged: Staged, note: Mapping[str, Any]) -> Staged:
        """Make a table of Parquet files that executors wrote to where it is staged.

        Args:
            session: The session, with its file systems.
            staged: Where the files are; nothing else is there.
            note: The note for the commit.
        """
        return staged

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count the rows of a written table without the use of statistics.

        Raises:
            VerificationError: A file is broken.
        """
        raise NotImplementedError

    def read_column(self, session: Session, staged: Staged, field: StructField) -> DataFrame:
        """Return one column of a written table, lazily: one row per row."""
        raise NotImplementedError

    def count_marked(self, session: Session, staged: Staged) -> int:
        """Count the rows of a written table that --action annotate marked as duplicates."""
        marks = self.read_column(session, staged, StructField(IS_DUPLICATE, BooleanType()))
        return marks.where(F.col(IS_DUPLICATE)).count()

    def written_bytes(self, session: Session, staged: Staged) -> int:
        """Return the size of the data files of a written table."""
        return sum(file.size_bytes for file in session.storage.list_files(staged.location))

    def undo(self, staged: Staged) -> str | None:
        """Return the command that undoes a commit; None if there was no commit."""
        return None

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Publish a verified table at its location, in one step (two for a replaced directory).

        Args:
            session: The session, with its file systems.
            staged: The written table.
            attempt: The run's attempt at the output.
            note: The note for the manifest or the commit.

        Raises:
            ConflictError: Another run is publishing, or has published, to the same location.
        """
        raise NotImplementedError

    def discard(self, session: Session, staged: Staged, attempt: Attempt) -> None:
        """Take away a written table that is not published, if it is not in the attempt's directory.

        It may have been published: then it stays.
        """

    def note_of_record(self, session: Session, name: str) -> Mapping[str, Any]:
        """Return the note of the run that left a record in the catalog, if the run is unfinished.

        The note of any other table is empty, or has no key `UNFINISHED`.
        """
        return {}

    def finish_record(self, session: Session, name: str, run: str) -> None:
        """Note in the catalog that the run of a record has published its output."""

    def append_row(
        self,
        session: Session,
        location: str,
        row: DataFrame,
        *,
        name: str,
        check: Callable[[StructType, bool], None],
    ) -> None:
        """Append a row of metrics to a table; make the table if it does not exist.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.
            row: The row.
            name: A unique name, for a file.
            check: Checks the columns of the existing table. The second argument says whether the
                table needs all columns.

        Raises:
            OutputExistsError: Something else is at the location.
        """
        raise UnsupportedError(f"metrics can't be appended to a {self.title} table.")
