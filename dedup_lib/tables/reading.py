"""The first half of the base class of table formats: find, read and compare tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from dedup_lib.errors import TableFormatError, UnsupportedError
from dedup_lib.locations import decode_path
from dedup_lib.session.session import Session
from dedup_lib.session.storage import ColumnChunkSizes, FileInfo
from dedup_lib.settings import FormatTraits
from dedup_lib.tables import row_positions
from dedup_lib.tables.columns import FileColumns, RowPlaces, metadata
from dedup_lib.tables.history import ImageChanges, ImagesState
from dedup_lib.tables.id_types import ImageId
from dedup_lib.tables.layout.data_files import DataFiles
from dedup_lib.tables.layout.keys_in_files import partition_of

if TYPE_CHECKING:
    from dedup_lib.executor.bounds import Bounds
    from dedup_lib.executor.picture_reads import ReadColumns, RowPicture, RowPosition
    from dedup_lib.executor.shards.packing.stored_columns import StoredSchema
    from dedup_lib.methods.run_context import RunContext
    from dedup_lib.plan.plan import Plan
    from dedup_lib.tables.id_table import FileRows, WantedIds
    from dedup_lib.tables.image_table import ImageTable
    from dedup_lib.tables.pinned import PinnedTable


class ReadableFormat:
    """The methods of a format for reading; `format.TableFormat` says how to implement them.

    Attributes:
        traits: The facts that settings need about the format, such as its name.
        sign: For messages: what identifies such a table.
        has_image_column: Whether images are in a column of the table; otherwise `draw_rows` finds
            them.
        why_no_ids: Why rows of such a table may have no ID, as a sentence without a full stop.
        takes_id_from: Whether --image-id-from says where the IDs are.
        deletes_by_log_counts: Whether deletions rely on row counts in a log. `check_log` compares
            these counts.
    """

    traits: FormatTraits
    sign: str = ""
    has_image_column = True
    why_no_ids = ""
    takes_id_from = False
    deletes_by_log_counts = False

    @property
    def name(self) -> str:
        """The name in --images-format, --output-format and the report."""
        return self.traits.name

    @property
    def title(self) -> str:
        """The name in messages."""
        return self.traits.title

    # Find a table

    def is_at(self, session: Session, location: str) -> bool:
        """Tell whether there is a table of this format at a canonical path."""
        raise NotImplementedError

    def has_named(self, session: Session, name: str) -> bool:
        """Tell whether the catalog has a table of that name."""
        return False

    def root_of(self, session: Session, location: str) -> str:
        """Return the canonical URI of a table's directory; the directory need not exist yet."""
        return session.storage.canonical(location)

    def is_part(self, session: Session, name: str) -> bool:
        """Tell whether a name in the catalog is that of a part of a table, such as a branch."""
        return False

    def root_of_new(self, session: Session, name: str) -> str:
        """Return the canonical URI of the directory that the catalog would give a new table."""
        raise NotImplementedError

    def wrong_format(self, asked: ReadableFormat, location: str) -> TableFormatError:
        """Return the error for a table of this format that the user wants to read as another."""
        return TableFormatError(
            f"image table {location!r} is a {self.title} table: read as {asked.title} it would "
            f"bring back deleted rows. Use --images-format {self.name} (or auto)."
        )

    # Read it

    def pin(
        self, session: Session, location: str, wanted_ids: WantedIds | None = None
    ) -> PinnedTable:
        """Pin a table as it is now, and read it lazily.

        Args:
            session: The session, with its file systems.
            location: A canonical path, or a catalog name.
            wanted_ids: IDs to copy to the table's `id_table`, if the format opens its files anyway.

        Raises:
            InputError: The table can't be read as this format.
        """
        raise NotImplementedError

    def check_unchanged(self, session: Session, table: PinnedTable) -> None:
        """Check that a pinned table still has the files that were pinned.

        The default checks nothing: each format must override it.

        Raises:
            InputChangedError: A file was replaced or deleted. New files are accepted.
        """

    def check_all_read(self, table: PinnedTable, counted: Sequence[FileRows]) -> None:
        """Check that a scan of the IDs read the pinned files.

        The default checks nothing: each format must override it.

        Raises:
            InputChangedError: A file was replaced, deleted or added in the meantime.
        """

    def row_places(self, frame: DataFrame) -> RowPlaces:
        """Return the columns that say where each row of a frame of the table is."""
        modified = F.unix_millis(metadata(frame, "file_modification_time"))
        return RowPlaces(
            metadata(frame, "file_path"),
            metadata(frame, "row_index"),
            metadata(frame, "file_size"),
            modified,
        )

    def tuned_frame(self, table: PinnedTable, settings: Mapping[str, str]) -> DataFrame:
        """Return the table's rows, to be read as settings say: splits, and rows of a batch.

        By default the reader follows the session, where the caller sets them.
        """
        return table.frame

    def file_path_of(self, table: PinnedTable, stored: str) -> str:
        """Return the path of a file as in `FileInfo`, from the spelling in `row_places`."""
        return decode_path(stored)

    def with_file_sizes(self, table: PinnedTable, counted: DataFrame) -> DataFrame:
        """Fill in `size_bytes` of counted files, if `row_places` does not know it."""
        return counted

    def check_log(self, table: PinnedTable, counted: DataFrame) -> None:
        """Check that the log has the same number of rows for each file as a scan found.

        Args:
            table: The pinned table.
            counted: The evaluated result of `plan.id_scan.rows_by_file`.

        Raises:
            TableFormatError: The log has another number.
        """

    def check_id_column(self, table: PinnedTable, column: str) -> None:
        """Check that the format has no objection to a column as the ID column.

        Raises:
            ColumnTypeError: The column can't hold the IDs.
        """

    def check_compared_column(self, table: PinnedTable, column: str) -> None:
        """Check that a column whose values decide what stays is read as it was written.

        Raises:
            UnreadableFileError: Spark reads other values.
        """

    def table_id(self, session: Session, table: PinnedTable) -> str | None:
        """Return the format's own ID of a table; None if it has no such ID."""
        return None

    def check_plan(self, run: RunContext, plan: Plan) -> None:
        """Check, before anything is written, that a rewrite of this table can apply a plan.

        Raises:
            AmbiguousListError: IDs are positions, and a list was made for another table.
            UnreadableFileError: What stays would refer to what goes.
        """

    def id_origin(self, table: ImageTable) -> str:
        """Return where the image IDs are in the table: the name of the column."""
        return table.id_column

    def log_settings(
        self, session: Session, locations: Sequence[str] = (), *, num_files: int = 0
    ) -> Mapping[str, str]:
        """Return session settings that make reading the logs of tables efficient.

        Args:
            session: The session.
            locations: The tables; one that can't be read is left out.
            num_files: The files of a table that the run makes.
        """
        return {}

    def file_columns(self, session: Session, table: PinnedTable) -> FileColumns | None:
        """Return the names of the table's columns in its files; None if they are unknown."""
        return FileColumns()

    def stored_schema(self, session: Session, table: ImageTable) -> StoredSchema | None:
        """Return what executors need to read the table's columns; None for those of the files.

        Raises:
            UnsupportedError: They can't read the table as Spark does.
        """
        return None

    def data_files(
        self, session: Session, table: ImageTable, counted: Sequence[FileRows]
    ) -> DataFiles:
        """Return the data files of a table, for executors that read them without Spark.

        Args:
            session: The session, with its file systems.
            table: The pinned table.
            counted: The files that hold rows, with their numbers of visible rows.
        """
        has_partitions = bool(table.partition_columns)
        partitions = {
            file.path: partition_of(file.path.removeprefix(table.root))
            for file in table.files
            if has_partitions
        }
        files = sorted(table.files, key=lambda file: file.path)
        return DataFiles(table.root, tuple(files), partitions)

    def check_heap(self, session: Session, table: PinnedTable) -> None:
        """Check that executors can hold what Spark reads of the table at once.

        Raises:
            UnsupportedError: They can't, by the sizes in the table's metadata.
        """

    def column_sizes(
        self, session: Session, files: Sequence[FileInfo]
    ) -> Iterable[ColumnChunkSizes]:
        """Return the size of each column in some of the data files; nothing if it is unknown."""
        return session.storage.read_column_sizes(files)

    def find_rows(
        self,
        session: Session,
        paths: Collection[str],
        id_field: StructField,
        ids: Collection[ImageId],
    ) -> dict[tuple[str, ImageId], int]:
        """Find the first row of each of a few IDs in each of a few files, for the review.

        The review calls it only if the table offers no row index. See `row_positions.row_indexes`.
        """
        return row_positions.row_indexes(session.spark, paths, id_field, ids)

    def draw_rows(
        self,
        session: Session,
        table: PinnedTable,
        rows: Sequence[RowPosition],
        columns: ReadColumns,
        bounds: Bounds,
    ) -> tuple[Mapping[RowPosition, RowPicture], int]:
        """Read rows by position and draw them, for the review. See `row_pictures.draw_rows`."""
        from dedup_lib.tables import row_pictures  # noqa: PLC0415  # only a review needs it

        return row_pictures.draw_rows(session, rows, columns, bounds)

    # Find what is new in it

    def state(self, session: Session, table: ImageTable) -> ImagesState:
        """Return the state of a pinned image table, for a later call of `find_changes`."""
        files = {
            file.path.removeprefix(table.root): (file.size_bytes, file.modified_ms)
            for file in table.files
        }
        return ImagesState(table.location, table.id_column, None, table.version, files)

    def find_changes(
        self, session: Session, table: PinnedTable, before: ImagesState, now: ImagesState
    ) -> ImageChanges:
        """Find what is new in a pinned image table since a state.

        Raises:
            ImagesChangedError: The changes can't be determined.
        """
        raise UnsupportedError(
            f"image table {table.location!r} is {self.title}: --since-last-run can't find "
            "out what is new in it. Leave the flag out."
        )
