"""The table format of plain Parquet directories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StringType, StructField, StructType

from dedup_lib.errors import (
    ColumnTypeError,
    ImagesChangedError,
    InputChangedError,
    InputError,
    OutputExistsError,
    StorageError,
    TableNotFoundError,
    UnreadableFileError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.locations import decode_path, get_scheme
from dedup_lib.parquet.arrow_engine import ArrowEngine
from dedup_lib.parquet.metrics_files import add_file
from dedup_lib.publish.marker import is_incomplete, mark
from dedup_lib.publish.promote import rename_into_place
from dedup_lib.session.conf import PARQUET_READER_OPTIONS, SCAN_SETTINGS, tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.session import Session
from dedup_lib.settings.traits import find_format
from dedup_lib.tables import registry
from dedup_lib.tables.directory import common_schema, data_files, fingerprint
from dedup_lib.tables.foreign import check_read
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.history import NOTHING_NEW, EarlierRun, ImageChanges, ImagesState
from dedup_lib.tables.kept_types import check_names_are_kept
from dedup_lib.tables.layout.keys_in_files import keys_in_files
from dedup_lib.tables.layout.leftovers import delete_magic_directories
from dedup_lib.tables.layout.partitions import misread_partitions, partition_columns_of
from dedup_lib.tables.manifest import read_manifest, write_manifest
from dedup_lib.tables.pinned import FileRows, Pinned, PinnedTable
from dedup_lib.tables.target import Attempt, Publishing, Staged, Target

_CODEC = "spark.sql.parquet.compression.codec"
_FULL_RUN = "add --output-mode overwrite once, for a full run"


class ParquetFormat(TableFormat):
    """A directory of Parquet files, or one file. It is the format if no other format matches."""

    traits = find_format("parquet")
    file_engine = ArrowEngine()

    def is_at(self, session: Session, location: str) -> bool:
        """Return true: only the files themselves could show more."""
        return True

    def pin(self, session: Session, location: str) -> PinnedTable:
        """Pin a directory; this needs one listing, and one footer for each file."""
        check_read(session.storage, location, "image table")
        found = data_files(session.storage, location, what="image table")
        partition_columns = partition_columns_of(location, found.files, what="image table")
        schema = common_schema(session, location, found.files)
        keys = keys_in_files(location, partition_columns, schema.columns.names)
        partitions = [StructField(name, StringType()) for name in partition_columns if not keys]
        columns = StructType([*schema.columns.fields, *partitions])
        reader = session.spark.read.schema(columns).options(**PARQUET_READER_OPTIONS)
        return PinnedTable(
            location=location,
            root=location,
            format=self.name,
            version=None,
            fingerprint=fingerprint(found.files),
            frame=found.read(reader, keys),
            partition_columns=partition_columns,
            files=tuple(found.files),
            leftovers=tuple(found.leftovers),
            file_schemas=tuple(schema.examples),
            schema_examples=tuple(schema.examples.values()),
            unreadable=schema.why_unreadable,
            empty_files=schema.empty_files,
            has_row_index=True,
            detail={},
        )

    def check_unchanged(self, session: Session, table: PinnedTable) -> None:
        """List the files again, and compare."""
        now = {file.path: file for file in session.storage.list_files(table.root)}
        for file in table.files:
            if now.get(file.path) != file:
                raise InputChangedError(
                    f"file {file.path!r} of the image table was changed or deleted during the run; "
                    "nothing was published. Run again when no one writes there."
                )

    def check_all_read(self, table: PinnedTable, counted: Sequence[FileRows]) -> None:
        """Compare paths, sizes and times."""
        empty = {file.path for file in table.empty_files}
        pinned = {file.path: (file.size_bytes, file.modified_ms) for file in table.files}
        read = {
            decode_path(file.file_path): (file.size_bytes, file.modified_ms) for file in counted
        }
        for path in sorted(pinned.keys() | read.keys()):
            if path not in empty and pinned.get(path) != read.get(path):
                raise InputChangedError(
                    f"file {path!r} of the image table was changed, deleted or added while the run "
                    "was planning. Run again when no one writes there."
                )

    def check_id_column(self, table: PinnedTable, column: str) -> None:
        """Refuse a column whose values are in directory names."""
        if column in table.partition_columns:
            raise ColumnTypeError(
                f"image table {table.location!r}: column {column!r} is kept in directory names, "
                "which have no type: image IDs must be a column of the files."
            )

    def check_compared_column(self, table: PinnedTable, column: str) -> None:
        """Refuse a partition column with values that Spark reads as other texts."""
        if column in (misread := misread_partitions(table.root, table.files)):
            raise UnreadableFileError(misread[column])

    def find_changes(
        self, session: Session, table: PinnedTable, before: ImagesState, now: ImagesState
    ) -> ImageChanges:
        """Take the rows of new files; no old file may have changed or disappeared."""
        for path, file in before.files.items():
            if now.files.get(path) != file:
                what = "was changed" if path in now.files else "is gone"
                raise ImagesChangedError(
                    f"file {table.root + path!r} of the image table {what} since the last run, so "
                    f"the changes can't be found. To go on, {_FULL_RUN}."
                )
        new = [table.root + path for path in now.files if path not in before.files]
        if not new:
            return NOTHING_NEW
        reader = session.spark.read.schema(table.frame.schema).options(**PARQUET_READER_OPTIONS)
        return ImageChanges(reader.option("basePath", table.root).parquet(*new), None)

    # Write it

    def publishing(self, session: Session, location: str, *, exists: bool) -> Publishing:
        """Return `rename` if a rename is one step; otherwise `marker`."""
        return "rename" if session.storage.renames_in_one_step(location) else "marker"

    def is_finished_at(self, session: Session, location: str) -> bool:
        """Look at the manifest, because S3A finds even an empty directory."""
        is_started = is_incomplete(session.storage, location)
        return not is_started and bool(session.storage.list_files(location))

    def check_replaceable(self, session: Session, location: str) -> None:
        """Check that there is a Parquet directory, by its file names and some of its footers."""
        found = registry.format_at(session, location)
        if found is not self:
            raise OutputExistsError(
                f"output {location!r} is a {found.title} table: replacing it with Parquet would "
                f"destroy its log. Use --output-format {found.name}, or choose another location."
            )
        storage = session.storage
        if not storage.is_directory(location):
            raise OutputExistsError(
                f"output {location!r} is a file, not a table: it is not replaced."
            )
        if not storage.list_files(location):
            return
        try:
            files = data_files(storage, location, what="output", is_replaced=True).files
            partition_columns_of(location, files, what="output")
            doubtful = [file for file in files if not file.path.endswith(".parquet")]
            for _ in storage.read_footers([files[0], *doubtful]):
                pass
        except (InputError, StorageError) as error:
            raise OutputExistsError(
                f"output {location!r} is not a Parquet table, so it is not replaced: {error}"
            ) from error

    def check_replacing(self, session: Session, target: Target) -> None:
        """Refuse if the replacement takes more than two renames."""
        advice = (
            "Use --output-format delta, whose overwrite is one commit, or choose another location."
        )
        if target.is_marked:
            raise UnsupportedError(
                f"output {target.location!r}: a Parquet directory can't be replaced on "
                f"{get_scheme(target.location)}, which can't rename in one step. {advice}"
            )
        if session.storage.is_remote:
            raise UnsupportedError(
                f"output {target.location!r}: a Parquet directory can't be replaced over Spark "
                f"Connect, which has no renames. {advice}"
            )

    def check_keeps(self, table: PinnedTable) -> None:
        """Refuse column names that Spark would write to Parquet as other names."""
        check_names_are_kept(table)

    def writer_options(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the settings that Spark's Parquet writer accepts as options, on any platform."""
        options = {key: value for key, value in settings.items() if key.startswith("parquet.")}
        codec = settings.get(_CODEC)
        return options if codec is None else options | {"compression": codec}

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
        """Write the files; for an output without rows, write one file with the schema.

        A partitioned write without rows would leave a directory that can't be read.
        """
        if not num_rows:
            writer = (
                session.spark.createDataFrame([], schema)
                .coalesce(1)
                .write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
            )
        # An output at its own location already has a manifest, and nothing else.
        mode = "append" if target.is_marked else "error"
        options = session.storage.committer_options(attempt.staged)
        writer.options(**options).mode(mode).parquet(attempt.staged)
        return Staged(target, attempt.staged, None)

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count by the files' footers, which executors read."""
        try:
            found = data_files(session.storage, staged.location, what="staged output")
            with tuning_settings(session.spark, SCAN_SETTINGS):
                reader = session.spark.read.schema(StructType()).options(**PARQUET_READER_OPTIONS)
                return found.read(reader).count()
        except (InputError, *SPARK_ERRORS) as error:
            raise VerificationError(f"the staged output is broken: {error}") from error

    def count_true_rows(self, session: Session, staged: Staged, column: str) -> int:
        """Scan the column."""
        fields = StructType([StructField(column, BooleanType())])
        reader = session.spark.read.schema(fields).options(**PARQUET_READER_OPTIONS)
        frame = reader.parquet(staged.location)
        with tuning_settings(session.spark, SCAN_SETTINGS):
            return frame.where(F.col(column)).count()

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Mark the output as complete at its location, or rename it to its location."""
        storage, target = session.storage, staged.target
        if target.is_marked:
            mark(storage, target.location, dict(note), attempt.attempt_id)
            return
        delete_magic_directories(storage, staged.location)
        write_manifest(storage, staged.location, dict(note))
        storage.write_text(f"{staged.location}/_SUCCESS", "")
        rename_into_place(session, staged, attempt)

    def append_row(
        self,
        session: Session,
        location: str,
        row: DataFrame,
        *,
        name: str,
        check: Callable[[StructType, bool], None],
    ) -> None:
        """Add a file with one row."""
        add_file(session, location, row, name, check)

    # The runs that wrote a table

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Read the manifest."""
        note = read_manifest(session.storage, location)
        is_same = key in note if value is None else note.get(key) == value
        return EarlierRun(location, note) if is_same else None

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Read the files with the given schema; a plan without rows also has files."""
        if not session.storage.exists(location):
            raise TableNotFoundError(f"plan {location!r} does not exist.")
        files = fingerprint(data_files(session.storage, location, what="plan").files)
        rows = session.spark.read.schema(schema).options(**PARQUET_READER_OPTIONS).parquet(location)
        return Pinned(location, self.name, None, files), rows
