"""The seam for table formats: everything that the rest of the library asks of a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql.types import StructType

from dedup_lib.errors import OutputExistsError, SettingsError, TableFormatError, UnsupportedError
from dedup_lib.executor.bounds import Bounds
from dedup_lib.executor.picture_reads import ReadColumns, RowPicture, RowPosition
from dedup_lib.session.session import Session
from dedup_lib.settings import FormatTraits, OutputMode
from dedup_lib.tables import row_pictures
from dedup_lib.tables.columns import FileColumns
from dedup_lib.tables.history import EarlierRun, ImageChanges, ImagesState
from dedup_lib.tables.target import Attempt, Publishing, Staged, Target

if TYPE_CHECKING:
    from dedup_lib.tables.pinned import FileRows, Pinned, PinnedTable


class TableFormat:
    """One table format; a subclass answers for its tables, and `registry.register` makes it known.

    A method that a subclass leaves out refuses, or does what holds for a directory of files that
    no log describes.

    Attributes:
        traits: What settings need to know of it, its name among that.
        sign: What tells such a table, for messages.
        serves_as_list: Whether a table of it can be a removal, protect or keep list. Directories
            of plain files are read by `lists` itself.
        methods: The methods, apart from `rewrite`, that a table of this format offers: `in-place`
            for a table that is an image table, `clone` and `since-last-run` for one that is an
            output. Each is a class, as `methods.method` says.
        file_engine: What rewrites its files one by one into the same format, as
            `methods.file_engine` says; None where only Spark can rewrite it.
    """

    traits: FormatTraits
    sign: str = ""
    serves_as_list = False
    methods: Mapping[str, Any] = {}
    file_engine: Any = None

    @property
    def name(self) -> str:
        """What --images-format, --output-format and the report call it."""
        return self.traits.name

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.traits.title

    # What is there

    def is_at(self, session: Session, location: str) -> bool:
        """Tell whether there is a table of this format at a canonical path."""
        raise NotImplementedError

    def has_named(self, session: Session, name: str) -> bool:
        """Tell whether the catalog has a table of that name."""
        return False

    def check_not_inside(self, session: Session, location: str, what: str) -> None:
        """Refuse a canonical path inside a table of this format, which is to be read as a whole.

        Raises:
            TableFormatError: A parent is such a table.
        """

    def root_of(self, session: Session, location: str) -> str:
        """Return where a table's files are, as a canonical URI; it need not exist yet."""
        return session.storage.canonical(location)

    def root_of_new(self, session: Session, name: str) -> str:
        """Return where the catalog would put a new table, as a canonical URI."""
        raise NotImplementedError

    def wrong_format(self, asked: TableFormat, location: str) -> TableFormatError:
        """Return the error for a table of this format that is to be read as one of another."""
        return TableFormatError(
            f"image table {location!r} is a {self.title} table: read as {asked.title} it would "
            f"bring back deleted rows. Use --images-format {self.name} (or auto)."
        )

    # Reading it

    def pin(self, session: Session, location: str) -> PinnedTable:
        """Pin a table as it is now, and read it lazily.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.

        Raises:
            InputError: It can't be read as this format.
        """
        raise NotImplementedError

    def check_unchanged(self, session: Session, table: PinnedTable) -> None:
        """Check that a pinned table still has the files that were pinned.

        Raises:
            InputChangedError: A file was replaced or deleted. New files don't matter.
        """

    def check_all_read(self, table: PinnedTable, counted: Sequence[FileRows]) -> None:
        """Check that a scan of the IDs read the pinned files.

        Raises:
            InputChangedError: A file was replaced, deleted or added meanwhile.
        """

    def check_id_column(self, table: PinnedTable, column: str) -> None:
        """Check that a column can hold the IDs, as far as the format has a say.

        Raises:
            ColumnTypeError: It can't.
        """

    def table_id(self, session: Session, table: PinnedTable) -> str | None:
        """Return the format's own ID of a table; None where it has none."""
        return None

    def log_settings(self, session: Session, location: str) -> Mapping[str, str]:
        """Return session settings under which a table's log is read well."""
        return {}

    def file_columns(self, session: Session, table: PinnedTable) -> FileColumns | None:
        """Return what the files call the table's columns; None where that can't be told."""
        return FileColumns()

    def draw_rows(
        self, session: Session, rows: Sequence[RowPosition], columns: ReadColumns, bounds: Bounds
    ) -> tuple[Mapping[RowPosition, RowPicture], int]:
        """Read rows by position and draw them, for the review; as `row_pictures.draw_rows`."""
        return row_pictures.draw_rows(session, rows, columns, bounds)

    # What is new in it

    def state(self, session: Session, table: PinnedTable, image_id_column: str) -> ImagesState:
        """Return the state of a pinned image table, from which `find_changes` goes on."""
        files = {
            file.path.removeprefix(table.root): (file.size_bytes, file.modified_ms)
            for file in table.files
        }
        return ImagesState(table.location, image_id_column, None, table.version, files)

    def find_changes(
        self, session: Session, table: PinnedTable, before: ImagesState, now: ImagesState
    ) -> ImageChanges:
        """Find what is new in a pinned image table since a state.

        Raises:
            ImagesChangedError: It can't be told.
        """
        raise UnsupportedError(
            f"image table {table.location!r} is {self.title}, where --since-last-run can't tell "
            "what is new. Leave the flag out."
        )

    # Writing it

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
                "Choose another place, or move it away."
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

    # What it says of the runs that wrote it

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Find the newest run whose note has a value under a key; any value where it is None.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.
            key: Of the note.
            value: What it must be.
        """
        raise NotImplementedError

    def check_repeated(self, session: Session, earlier: EarlierRun) -> None:
        """Check that an output still has the rows that the run which made it had planned.

        Raises:
            VerificationError: It hasn't. A run that ended in that must not end well when repeated.
        """

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Read rows that a run kept as a table of this format, at a canonical path or by name."""
        raise UnsupportedError(f"a plan can't be read from a {self.title} table.")
