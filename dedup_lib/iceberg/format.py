"""Iceberg tables as a table format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pyspark.sql import DataFrame, DataFrameWriter
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from dedup_lib.errors import DedupError, InputChangedError, TableNotFoundError, UnsupportedError
from dedup_lib.iceberg import image_changes, output, target_table
from dedup_lib.iceberg.bad_tables import WHY_NO_IDS
from dedup_lib.iceberg.branch_clone import BranchClone
from dedup_lib.iceberg.detail import (
    detail_of,
    full_name,
    is_iceberg_name,
    metadata_table,
    names_ref,
    read_detail,
    read_snapshot,
    reader_options,
    root_of,
)
from dedup_lib.iceberg.history import read_snapshots
from dedup_lib.iceberg.in_place import InPlace
from dedup_lib.iceberg.layout import check_keeps
from dedup_lib.iceberg.metadata_file import FieldIds, read_fields
from dedup_lib.iceberg.row_groups import check_row_groups
from dedup_lib.iceberg.since_last_run import IcebergSinceLastRun
from dedup_lib.locations import is_path, with_parents
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import quoted
from dedup_lib.session.storage import ColumnChunkSizes, FileInfo
from dedup_lib.settings import OutputMode
from dedup_lib.settings.traits import find_format
from dedup_lib.tables.columns import FileColumns, RowPlaces
from dedup_lib.tables.format import TableFormat
from dedup_lib.tables.history import EarlierRun, ImageChanges, ImagesState
from dedup_lib.tables.id_table import WantedIds
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.pinned import Pinned, PinnedTable
from dedup_lib.tables.target import NO_ORIGIN, Attempt, Origin, Staged, Target

_HIDDEN = ("_file", "_pos")


class IcebergFormat(TableFormat):
    """An Iceberg table, by its name in the catalog."""

    traits = find_format("iceberg")
    sign = "name in a catalog"
    serves_as_list = True
    why_no_ids = WHY_NO_IDS
    methods: Mapping[str, Any] = MappingProxyType(
        {"in-place": InPlace, "clone": BranchClone, "since-last-run": IcebergSinceLastRun}
    )

    def is_at(self, session: Session, location: str) -> bool:
        """Find nothing at a path: only the catalog knows which metadata file is the newest."""
        return False

    def has_named(self, session: Session, name: str) -> bool:
        """Look which catalog the name belongs to; ask it if it also holds other formats."""
        return is_iceberg_name(session.spark, name)

    def root_of(self, session: Session, location: str) -> str:
        """Ask the catalog where the table's files are."""
        if is_path(location):
            return session.storage.canonical(location)
        return root_of(session, read_detail(session.spark, location).location)

    def is_part(self, session: Session, name: str) -> bool:
        """Look for a branch or tag."""
        return names_ref(session.spark, name)

    def root_of_new(self, session: Session, name: str) -> str:
        """Ask the catalog where the tables of the schema are."""
        return target_table.root_of_new(session, name)

    # Read it

    def pin(
        self, session: Session, location: str, wanted_ids: WantedIds | None = None
    ) -> PinnedTable:
        """Pin a table at the newest snapshot of its branch or tag; `main` if none is named."""
        detail = read_detail(session.spark, location)
        frame = read_snapshot(session.spark, detail)
        if taken := [name for name in frame.columns if name.lower() in _HIDDEN]:
            raise UnsupportedError(
                f"table {location!r} has a column {taken[0]!r}, which hides Iceberg's own "
                "column of that name: rename it."
            )
        return PinnedTable(
            location=location,
            root=root_of(session, detail.location),
            format=self.name,
            version=detail.snapshot_id,
            fingerprint=None,
            frame=frame,
            partition_columns=(),
            files=(),
            file_schemas=(),
            schema_examples=(),
            unreadable=None,
            empty_files=(),
            has_row_index=True,
            detail={"iceberg": detail},
        )

    def row_places(self, frame: DataFrame) -> RowPlaces:
        """Return Iceberg's hidden columns; the sizes of files are in its metadata."""
        return RowPlaces(F.col("_file"), F.col("_pos"), F.lit(0), F.lit(0))

    def tuned_frame(self, table: PinnedTable, settings: Mapping[str, str]) -> DataFrame:
        """Read the snapshot with options, for Iceberg knows no such settings of a session."""
        spark, detail = table.frame.sparkSession, detail_of(table)
        frame = read_snapshot(spark, detail, reader_options(spark, detail, settings))
        if frame.schema != table.frame.schema:
            raise InputChangedError(
                f"columns of {table.location!r} were changed while the run was at work: run again."
            )
        return frame

    def file_path_of(self, table: PinnedTable, stored: str) -> str:
        """Return a path of `_file` as Hadoop knows it; it is raw, so nothing is decoded."""
        if stored.startswith("/"):  # as the location of a table in Spark's default file system
            return with_parents(table.root)[-1].rstrip("/") + stored
        return f"s3a{stored[2:]}" if stored.startswith("s3://") else stored

    def file_columns(self, session: Session, table: PinnedTable) -> FileColumns | None:
        """Find columns by the IDs of their fields, in the current metadata file."""
        fields = read_fields(session.spark, detail_of(table).name)
        return None if fields is None else FieldIds(fields)

    def column_sizes(
        self, session: Session, files: Sequence[FileInfo]
    ) -> Iterable[ColumnChunkSizes]:
        """Read footers; nothing if a file is not Parquet, or only Iceberg reaches its store."""
        try:
            return list(super().column_sizes(session, files))
        except DedupError:
            return ()

    def read_kept(
        self, session: Session, location: str, schema: StructType
    ) -> tuple[Pinned, DataFrame]:
        """Pin the table and read it."""
        table = self.pin(session, location)
        return Pinned(table.location, self.name, table.version, None), table.frame

    def with_file_sizes(self, table: PinnedTable, counted: DataFrame) -> DataFrame:
        """Look the sizes of data files up in the snapshot's manifests."""
        detail = detail_of(table)
        if detail.snapshot_id is None:
            return counted
        files = metadata_table(counted.sparkSession, detail, "data_files").select(
            F.col("file_path"), F.col("file_size_in_bytes").alias("found_bytes")
        )
        found = F.coalesce("found_bytes", F.lit(0)).cast("bigint")
        sized = counted.join(files, "file_path", "left")
        return sized.withColumn("size_bytes", found).select(*counted.columns)

    def check_heap(self, session: Session, table: PinnedTable) -> None:
        """Compare the row groups with the heap of executors."""
        check_row_groups(session.spark, detail_of(table), table.location)

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
        """Look in the catalog."""
        return target_table.find_target(
            session,
            location,
            mode,
            may_replace=may_replace,
            may_append=may_append,
            is_unfinished=is_unfinished,
        )

    def check_keeps(self, table: PinnedTable) -> None:
        """Refuse columns that Iceberg does not have as they are."""
        check_keeps(table)

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
        """Write a branch of the table."""
        return output.stage(
            session, target, writer, attempt, schema=schema, note=note, origin=origin
        )

    def count_rows(self, session: Session, staged: Staged) -> int:
        """Count by the files of the branch's snapshot, not by its metadata."""
        return output.read_staged(session.spark, staged).count()

    def read_column(self, session: Session, staged: Staged, field: StructField) -> DataFrame:
        """Read the branch's snapshot."""
        return output.read_staged(session.spark, staged).select(quoted(field.name))

    def written_bytes(self, session: Session, staged: Staged) -> int:
        """Add up the sizes in the snapshot's manifests."""
        return output.written_bytes(session.spark, staged)

    def promote(
        self, session: Session, staged: Staged, attempt: Attempt, note: Mapping[str, Any]
    ) -> None:
        """Make the branch the table's main branch."""
        output.promote(session, staged, attempt, note)

    def note_of_record(self, session: Session, name: str) -> Mapping[str, Any]:
        """Read the note of the only snapshot, if the table is still noted as the run's."""
        return target_table.note_of_record(session.spark, name)

    def finish_record(self, session: Session, name: str, run: str) -> None:
        """Take the owner from the table's properties."""
        target_table.forget_owner(session.spark, full_name(session.spark, name))

    def discard(self, session: Session, staged: Staged, attempt: Attempt) -> None:
        """Drop the branch, and a new table that was not published."""
        output.discard(session, staged, attempt)

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
        output.append_row(session.spark, location, row, check)

    # Find what is new in it

    def state(self, session: Session, table: ImageTable) -> ImagesState:
        """Return the pinned snapshot, and the columns: renaming one makes no snapshot."""
        fields = read_fields(session.spark, detail_of(table).name)
        columns = image_changes.columns_of(table.frame.schema, fields)
        state = ImagesState(table.location, table.id_column, None, table.version)
        return dataclasses.replace(state, columns=columns)

    def find_changes(
        self, session: Session, table: PinnedTable, before: ImagesState, now: ImagesState
    ) -> ImageChanges:
        """Read the appended files, and compare the rows of both snapshots if need be."""
        return image_changes.find_changes(session.spark, table, detail_of(table), before, now)

    # The runs that wrote a table

    def find_run(
        self, session: Session, location: str, key: str, value: str | None
    ) -> EarlierRun | None:
        """Search the snapshots that are or were part of main, as long as they are kept."""
        try:
            detail = read_detail(session.spark, location)
        except TableNotFoundError:
            return None
        found = read_snapshots(session.spark, detail.name).find_run(key, value, detail.ref)
        if found is None:
            return None
        snapshot, was_undone = found
        return EarlierRun(location, snapshot.note, snapshot.snapshot_id, was_undone, snapshot)
