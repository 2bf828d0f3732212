"""Delta tables as a table format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql.types import StructField, StructType

from dedup_lib.delta import data_files, image_changes, output
from dedup_lib.delta.clone import Clone
from dedup_lib.delta.delete import DELETION_VECTORS
from dedup_lib.delta.detail import (
    delta_detail,
    delta_root,
    delta_version,
    is_delta_path,
    log_settings,
    new_table_root,
    root_in,
    table_exists,
)
from dedup_lib.delta.history import commit_with, count_rows_at, read_version, was_undone
from dedup_lib.delta.in_place import InPlace
from dedup_lib.delta.logged_rows import check_active_once, check_logged_rows
from dedup_lib.delta.physical_names import physical_names
from dedup_lib.delta.since_last_run import DeltaSinceLastRun
from dedup_lib.errors import DedupError, VerificationError
from dedup_lib.executor.shards.packing.stored_columns import StoredSchema
from dedup_lib.locations import is_path
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import quoted, sql_name
from dedup_lib.settings import OutputMode
from dedup_lib.settings.traits import find_format
from dedup_lib.tables.columns import FileColumns
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.history import EarlierRun, ImageChanges, ImagesState
from dedup_lib.tables.id_table import FileRows, WantedIds
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.layout.data_files import DataFiles
from dedup_lib.tables.pinned import Pinned, PinnedTable, has_row_index
from dedup_lib.tables.target import NO_ORIGIN, Attempt, Origin, Publishing, Staged, Target


class DeltaFormat(TableFormat):
    """A Delta table, by its directory or by its name in the catalog."""

    traits = find_format("delta")
    sign = "_delta_log"
    deletes_by_log_counts = True
    serves_as_list = True
    methods = MappingProxyType(
        {"in-place": InPlace, "clone": Clone, "since-last-run": DeltaSinceLastRun}
    )

    def is_at(self, session: Session, location: str) -> bool:
        """Look for a Delta log."""
        return is_delta_path(session.storage, location)

    def has_named(self, session: Session, name: str) -> bool:
        """Ask the catalog."""
        return table_exists(session.spark, name)

    def root_of(self, session: Session, location: str) -> str:
        """Ask Delta where a named table's files are."""
        if is_path(location):
            return session.storage.canonical(location)
        return delta_root(session, location)

    def root_of_new(self, session: Session, name: str) -> str:
        """Ask the catalog where it would put a table."""
        return new_table_root(session, name)

    # Read it

    def pin(
        self, session: Session, location: str, wanted_ids: WantedIds | None = None
    ) -> PinnedTable:
        """Pin a table at its newest version."""
        detail = delta_detail(session.spark, location)
        version = delta_version(session.spark, location)
        frame = read_version(session.spark, location, version)
        return PinnedTable(
            location=location,
            root=root_in(session.storage, detail),
            format=self.name,
            version=version,
            fingerprint=None,
            frame=frame,
            partition_columns=tuple(detail["partitionColumns"]),
            files=(),
            file_schemas=(),
            schema_examples=(),
            unreadable=None,
            empty_files=(),
            has_row_index=has_row_index(frame),
            detail=detail.asDict(),
        )

    def check_all_read(self, table: PinnedTable, counted: Sequence[FileRows]) -> None:
        """Refuse a file that the log has twice; Delta itself pins the files of a version."""
        check_active_once(table, len(counted))

    def check_log(self, table: PinnedTable, counted: DataFrame) -> None:
        """Compare file by file, because some writers log too few rows."""
        check_logged_rows(table, counted)

    def table_id(self, session: Session, table: PinnedTable) -> str | None:
        """Return the ID that Delta gave the table when it was made."""
        return str(table.detail["id"])

    def log_settings(
        self, session: Session, locations: Sequence[str] = (), *, num_files: int = 0
    ) -> Mapping[str, str]:
        """Return settings that let Delta read small logs in few tasks."""
        return log_settings(session.spark, self._log_bytes(session, locations), num_files)

    def _log_bytes(self, session: Session, locations: Sequence[str]) -> Iterator[int]:
        """Yield the size of each log that can be listed."""
        for location in locations:
            with suppress(DedupError):
                root = self.root_of(session, location)
                yield session.storage.total_bytes(f"{root}/_delta_log")

    def file_columns(self, session: Session, table: PinnedTable) -> FileColumns | None:
        """Look up the physical names if the table has column mapping."""
        return physical_names(session.spark, table)

    def stored_schema(self, session: Session, table: ImageTable) -> StoredSchema:
        """Read it from the log if the table has column mapping."""
        return data_files.stored_schema(session, table)

    def data_files(
        self, session: Session, table: ImageTable, counted: Sequence[FileRows]
    ) -> DataFiles:
        """Take the files that the scan of the IDs read, and Spark's values of the partitions."""
        return data_files.data_files(session, table, counted)

    def state(self, session: Session, table: ImageTable) -> ImagesState:
        """Return the table's ID and version."""
        table_id = self.table_id(session, table)
        return ImagesState(table.location, table.id_column, table_id, table.version)

    def find_changes(
        self, session: Session, table: PinnedTable, before: ImagesState, now: ImagesState
    ) -> ImageChanges:
        """Read the change data feed, or the commits."""
        return image_changes.find_changes(session.spark, table, before, now)

    # Write it

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
        """Look in the catalog, or at the path."""
        if is_path(location):
            return super().find_target(
                session,
                location,
                mode,
                may_replace=may_replace,
                may_append=may_append,
                is_unfinished=is_unfinished,
            )
        exists = table_exists(session.spark, location)
        root = delta_root(session, location) if exists else None
        target = Target(location, self.name, mode, "commit", root, exists, may_replace=may_replace)
        if exists and mode == "error" and not may_append:
            raise target.exists_error()
        return target

    def publishing(self, session: Session, location: str, *, exists: bool) -> Publishing:
        """Return `rename` for a new directory if a rename is one step; otherwise `commit`."""
        storage = session.storage
        is_renamed = storage.renames_in_one_step(location) and not exists and not storage.is_remote
        return "rename" if is_renamed else "commit"

    def prepare_writer(self, writer: DataFrameWriter, *, is_changed_later: bool) -> DataFrameWriter:
        """Switch deletion vectors on if a later step deletes rows."""
        return writer.option(DELETION_VECTORS, "true") if is_changed_later else writer

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
        """Write a table beside the location, or in one commit at the location."""
        return output.stage(session, target, writer, attempt, column_names=schema.names, note=note)

    def why_no_files(self, target: Target | None) -> DedupError | None:
        """Refuse all but a new directory that is renamed to its place."""
        return output.why_no_files(target)

    def adopt_files(self, session: Session, staged: Staged, note: Mapping[str, Any]) -> Staged:
        """Write a log for the files; no row is read."""
        return output.adopt_files(session, staged, note)

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count the rows of the written version."""
        return count_rows_at(session.spark, staged.location, staged.version or 0)

    def read_column(self, session: Session, staged: Staged, field: StructField) -> DataFrame:
        """Read the version that was written."""
        frame = read_version(session.spark, staged.location, staged.version or 0)
        return frame.select(quoted(field.name))

    def written_bytes(self, session: Session, staged: Staged) -> int:
        """Ask Delta for the size."""
        frame = session.spark.sql(f"DESCRIBE DETAIL {sql_name(staged.location)}")
        return int(frame.select("sizeInBytes").collect()[0][0])

    def undo(self, staged: Staged) -> str | None:
        """Return the command that undoes a commit at the location itself."""
        if staged.version is None or not staged.is_in_place:
            return None
        name = sql_name(staged.location)
        if staged.version == 0:
            return f"DROP TABLE {name}"
        return f"RESTORE TABLE {name} TO VERSION AS OF {staged.version - 1}"

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Rename the table to its location, or make the output a clone of a staged clone."""
        output.promote(session, staged, attempt, note)

    def note_of_record(self, session: Session, name: str) -> Mapping[str, Any]:
        """Read the note of the newest commit."""
        return output.note_of_record(session, name)

    def finish_record(self, session: Session, name: str, run: str) -> None:
        """Commit once more."""
        output.finish_record(session.spark, name, run)

    def append_row(
        self,
        session: Session,
        location: str,
        row: DataFrame,
        *,
        name: str,
        check: Callable[[StructType, bool], None],
    ) -> None:
        """Append the row in one commit; the first such run makes the table."""
        output.append_row(session, location, row, check)

    # The runs that wrote a table

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Search the history, as far back as Delta keeps it."""
        if not is_path(location) and not table_exists(session.spark, location):
            return None
        commit = commit_with(session.spark, location, key, value)
        if commit is None:
            return None
        is_undone = was_undone(session.spark, location, commit.version)
        return EarlierRun(location, commit.note, commit.version, is_undone, commit)

    def check_repeated(self, session: Session, earlier: EarlierRun) -> None:
        """Count the rows of the version that the run made, if it is still the newest."""
        version, location = earlier.version, earlier.location
        if version is None or delta_version(session.spark, location) != version:
            return
        found = count_rows_at(session.spark, location, version)
        planned = earlier.note.get("output_rows")
        if planned is not None and found != planned:
            raise VerificationError(
                f"version {version} of {location!r} has {found} rows, but the plan of "
                f"the run that made it keeps {planned}."
            )

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Pin the table and read it."""
        table = self.pin(session, location)
        return Pinned(table.location, self.name, table.version, None), table.frame
