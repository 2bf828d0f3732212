"""Find what is new in an Iceberg image table since an earlier run: new rows, changed IDs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NoReturn

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from dedup_lib.errors import ImagesChangedError
from dedup_lib.iceberg.detail import Detail, metadata_table
from dedup_lib.iceberg.metadata_file import ids_of
from dedup_lib.session.sql_names import quoted
from dedup_lib.tables.history import NOTHING_NEW, ImageChanges, ImagesState
from dedup_lib.tables.pinned import PinnedTable

_FULL_RUN = "add --output-mode overwrite once, for a full run"
# Iceberg's names of what a commit did: new files with new rows; the same rows in other files.
_APPEND, _REPLACE, _DELETE = "append", "replace", "delete"
_FIRST_VERSION_WITH_ROW_IDS = 3


@dataclass(frozen=True)
class Commit:
    """A commit of an Iceberg table, as its metadata describes it."""

    snapshot_id: int
    parent_id: int | None
    operation: str
    summary: Mapping[str, str]

    @property
    def may_change_rows(self) -> bool:
        """Whether the commit may have written other contents for rows that were there before."""
        if self.operation in (_APPEND, _REPLACE, _DELETE):
            return False
        only_hides = "added-delete-files" in self.summary and "added-data-files" not in self.summary
        return not only_hides


def find_changes(
    spark: SparkSession, table: PinnedTable, detail: Detail, before: ImagesState, now: ImagesState
) -> ImageChanges:
    """Find what is new in a pinned Iceberg image table.

    Args:
        spark: The session.
        table: The image table.
        detail: What was found out about it.
        before: The state of the image table at the earlier run.
        now: The pinned state.

    Returns:
        The rows of all files that were appended, also of those that were compacted since then. If
        rows may be gone, also the IDs of all rows that were changed, deleted, or appended and
        deleted; and of rows that came in another way than by an append.

    Raises:
        ImagesChangedError: The changes can't be determined.

    *Cost:* the table's list of snapshots. If rows were only appended or compacted, the new rows
    are read when they are used. Otherwise also the IDs of both snapshots, and a shuffle of these.
    """
    finder = _Finder(spark, table, detail, before, now)
    finder.check_columns()  # a change of columns makes no snapshot
    return NOTHING_NEW if before.version == now.version else finder.changes()


def columns_of(schema: StructType, fields: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """Return names, types and field IDs of columns, for `ImagesState`.

    Args:
        schema: The table's schema.
        fields: Its fields in the metadata file; None if that can't be read.
    """
    ids = {field["name"]: ", ".join(map(str, ids_of(field))) for field in fields or ()}
    return tuple(
        f"{quoted(field.name)} {field.dataType.simpleString()}"
        + (f" (field {ids[field.name]})" if field.name in ids else "")
        for field in schema
    )


def commits_since(
    commits: Sequence[Commit], earlier: int | None, newest: int | None
) -> list[Commit] | None:
    """Return the commits after one snapshot, up to another one, the newest first.

    None if the table does not know that the one comes from the other.
    """
    by_id = {commit.snapshot_id: commit for commit in commits}
    found: list[Commit] = []
    at = newest
    while at is None or at != earlier:
        commit = None if at is None else by_id.get(at)
        if commit is None:
            return None
        found.append(commit)
        at = commit.parent_id
    return found


@dataclass(frozen=True)
class _Finder:
    """The search for the changes between two snapshots of an image table."""

    spark: SparkSession
    table: PinnedTable
    detail: Detail
    before: ImagesState
    now: ImagesState

    def check_columns(self) -> None:
        """Check that all earlier columns are still there, so that old rows read as they did."""
        if lost := [name for name in self.before.columns if name not in self.now.columns]:
            self.refuse(
                f"its column {lost[0]} was renamed, dropped or changed, or dropped and added again"
            )

    def changes(self) -> ImageChanges:
        commits = self.read_commits()
        operations = {commit.operation for commit in commits}
        appended = self.read_appended() if _APPEND in operations else None
        if operations <= {_APPEND, _REPLACE}:
            return ImageChanges(appended, None)
        changed = self.find_changed(appended, any(commit.may_change_rows for commit in commits))
        counts = F.count("*"), F.count_if(F.isnull("image_id"))
        num_ids, num_nulls = changed.agg(*counts).collect()[0]
        if num_nulls:
            self.refuse("rows without an ID were changed or deleted")
        return ImageChanges(appended, changed if num_ids else None)

    def read_commits(self) -> list[Commit]:
        """Read the commits between the two snapshots."""
        columns = "snapshot_id, parent_id, operation, summary"
        rows = self.spark.sql(f"SELECT {columns} FROM {self.detail.name}.snapshots").collect()
        known = [
            Commit(row["snapshot_id"], row["parent_id"], row["operation"], row["summary"] or {})
            for row in rows
        ]
        found = commits_since(known, self.before.version, self.now.version)
        if found is None:
            self.refuse(
                "as far as the table's snapshots go back, today's does not come from that one: the "
                "table was rolled back or made again, or snapshots between them have expired"
            )
        is_kept = any(commit.snapshot_id == self.before.version for commit in known)
        if not is_kept and any(commit.operation not in (_APPEND, _REPLACE) for commit in found):
            self.refuse("it has expired, and rows were changed or deleted since then")
        return found

    def read_appended(self) -> DataFrame:
        """Read all rows of the files that were appended, also those that are deleted by now."""
        between = {
            "start-snapshot-id": str(self.before.version),
            "end-snapshot-id": str(self.now.version),
        }
        frame = self.read(between)
        return frame.select(*map(quoted, self.table.frame.columns))

    def read_earlier(self) -> DataFrame:
        """Read the rows of the earlier snapshot, with the columns of that time."""
        frame = self.read({"snapshot-id": str(self.before.version)})
        if self.now.image_id_column not in frame.columns:
            self.refuse("its ID column had another name when that snapshot was made")
        return frame

    def read(self, options: Mapping[str, str]) -> DataFrame:
        """Read the table with options of its own.

        Not by `table`: on Spark Connect, all reads of one name within a plan have the options of
        the first, without an error (Spark 4.0.4).
        """
        reader = self.spark.read.format("iceberg").options(**options)
        return reader.load(self.detail.name)

    def find_changed(self, appended: DataFrame | None, contents_may_differ: bool) -> DataFrame:
        """Find the IDs whose old and appended rows are not all as they were.

        A row is recognised by its row ID, and the commit that changed it last; without these by
        its file and position. A compaction moves a row to another position. If no commit changed
        contents, and as many rows of an ID came to new positions as left their own, all of them
        were moved.
        """
        has_row_ids = self.has_row_ids()
        sides = {"earlier": self.read_earlier(), "current": self.table.frame}
        if appended is not None:
            sides["appended"] = appended
        names = ("earlier", "current", "appended")
        column = self.now.image_id_column
        rows = [
            frame.select(
                F.col(quoted(column)).alias("image_id"),
                *_row_key(has_row_ids),
                *(F.lit(int(name == side)).alias(name) for name in names),
            )
            for side, frame in sides.items()
        ]
        found = [F.max(name).alias(name) for name in names]
        by_row = reduce(DataFrame.unionAll, rows).groupBy("image_id", "key", "place").agg(*found)
        left = F.count_if(F.col("current") == 0)
        came = F.count_if((F.col("earlier") == 0) & (F.col("appended") == 0))
        is_strict = has_row_ids or contents_may_differ
        differs = (left + came > 0) if is_strict else (left != came)
        by_id = by_row.groupBy("image_id").agg(differs.alias("differs"))
        return by_id.where("differs").select("image_id")

    def has_row_ids(self) -> bool:
        """Tell whether all rows of both snapshots have row IDs.

        Rows that were written before the table had them get new ones when it is upgraded.
        """
        if self.detail.format_version < _FIRST_VERSION_WITH_ROW_IDS:
            return False
        files = metadata_table(self.spark, self.earlier_detail, "data_files")
        return files.where("first_row_id IS NULL").isEmpty()

    @property
    def earlier_detail(self) -> Detail:
        return replace(self.detail, snapshot_id=self.before.version)

    def refuse(self, reason: str) -> NoReturn:
        raise ImagesChangedError(
            f"the changes in image table {self.table.location!r} since snapshot "
            f"{self.before.version} can't be found: {reason}. To go on, {_FULL_RUN}."
        )


def _row_key(has_row_ids: bool) -> tuple[Column, Column]:
    """Return what a row is recognised by: two columns, `key` and `place`."""
    names = ("_row_id", "_last_updated_sequence_number") if has_row_ids else ("_file", "_pos")
    return F.col(names[0]).alias("key"), F.col(names[1]).alias("place")
