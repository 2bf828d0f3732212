"""Rewrite the data files of an Iceberg table that have hidden rows (`--purge`), and compare."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import ConflictError, VerificationError
from dedup_lib.iceberg.detail import (
    MAIN,
    Detail,
    metadata_table,
    read_detail,
    read_snapshot,
    reader_options,
    spell_call,
)
from dedup_lib.iceberg.errors import is_conflict
from dedup_lib.lists.removal_list import sum_of_hashes
from dedup_lib.methods.run_context import RunContext
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.sql_names import values_of
from dedup_lib.tables.image_table import ImageTable

_log = logging.getLogger(__name__)
# Every file with a hidden row, whatever its size, and no other file.
_FILES_WITH_HIDDEN_ROWS = {
    "delete-file-threshold": "1",
    "min-file-size-bytes": "0",
    "max-file-size-bytes": "9000000000000",
}
# How many rows Iceberg's writer holds before it looks at their size, and how many bytes are many.
_ROWS_PER_CHECK = "write.parquet.row-group-check-min-record-count"
_DEFAULT_ROWS_PER_CHECK = 100
_MANY_BYTES = 128 * 1024**2
# Hadoop writes `file:/x` for a file in the table's directory `file:///x`.
_EMPTY_HOST = "^([^:/]+:)//(?=/)"
_REPLACE = "replace"  # the operation of a snapshot that has the rows of the one before it
_KEPT_DAYS = 5  # how long Iceberg keeps snapshots by default


@dataclass(frozen=True)
class Purge:
    """The result of a purge; the fields are those of a purge of Delta, and one more.

    Attributes:
        removed_files: How many data files the table no longer refers to.
        added_files: How many data files replace them.
        removed_bytes: The size of the removed files.
        added_bytes: The size of the added files.
        vacuum: The statement that deletes the removed files; None if the table does not own its
            files (`gc.enabled` is false).
        vacuum_after: The time in UTC after which the statement deletes them; a branch or a tag may
            keep them longer.
        foreign_files: How many of the removed files are outside of the table's directory. The
            statement also deletes these: the originals of files that `add_files` took in.
    """

    removed_files: int = 0
    added_files: int = 0
    removed_bytes: int = 0
    added_bytes: int = 0
    vacuum: str | None = None
    vacuum_after: str | None = None
    foreign_files: int = 0


def purge(run: RunContext, images: ImageTable) -> None:
    """Purge the image table if the user asked for it (--purge), and report what was rewritten.

    It purges the newest snapshot of `main`, so call it after the deletion is published.
    """
    if run.settings.purge:
        with run.step("purge"):
            purged = purge_table(run.session.spark, images.location, images.id_column)
        run.report.note_purge(dataclasses.asdict(purged), purged.added_bytes)


def purge_table(spark: SparkSession, location: str, id_column: str) -> Purge:
    """Rewrite the files on `main` that have hidden rows, without these rows; compare the IDs.

    The old files stay on disk until snapshots are expired, which this function does not do. Nothing
    is written if no row is hidden.

    Args:
        spark: The session.
        location: The table's name in the catalog.
        id_column: The column whose values are compared.

    Raises:
        ConflictError: Another writer changed the same files in the meantime.
        VerificationError: The table has other IDs than before; the message says how to go back.

    *Cost:* the files with hidden rows are read and written. The IDs of the table are scanned twice.
    """
    before = read_detail(spark, location)
    _warn_of_large_images(spark, before)
    try:
        _call(spark, before, "rewrite_data_files", _FILES_WITH_HIDDEN_ROWS, strategy="binpack")
        if _has_delete_files(spark, read_detail(spark, location)):
            # Version 2: the rewrite leaves them, though they no longer hide a row.
            _call(spark, before, "rewrite_position_delete_files", {"rewrite-all": "true"})
    except SPARK_ERRORS as error:
        if not is_conflict(error):
            raise
        statement = spell_call(before.name, "rewrite_data_files", _FILES_WITH_HIDDEN_ROWS)
        raise ConflictError(
            f"the rows of {location!r} are deleted, but they could not be purged, because "
            f"another writer changed the same files in the meantime. Run {statement}; or run again "
            f"with the same --run-key, if the run had a key. {first_line(error)}"
        ) from error
    after = read_detail(spark, location)
    if after.snapshot_id == before.snapshot_id:
        return Purge()
    changed: Counter[str] = Counter()
    for first, *replaced in _replacements(spark, before, after):
        _check_same_ids(spark, first, replaced[-1], id_column)
        for snapshot in replaced:
            changed.update(_changed_files(spark, snapshot))
    return _result(spark, after, changed)


def _call(
    spark: SparkSession, detail: Detail, procedure: str, options: Mapping[str, str], **more: object
) -> None:
    spark.sql(spell_call(detail.name, procedure, options, **more)).collect()


def _warn_of_large_images(spark: SparkSession, detail: Detail) -> None:
    """Warn if the writer would hold many bytes before it looks at the size of a row group."""
    rows = int(detail.properties.get(_ROWS_PER_CHECK, _DEFAULT_ROWS_PER_CHECK))
    row_bytes = F.max(F.col("file_size_in_bytes") / F.col("record_count"))
    found = metadata_table(spark, detail, "data_files").agg(row_bytes).collect()[0][0] or 0
    if rows > 1 and rows * found > _MANY_BYTES:
        _log.warning(
            "a row of %s has %.1f MB, and Iceberg's writer holds %s rows before it looks at their "
            "size: each core needs about %.1f GB of memory. To prevent this: ALTER TABLE %s SET "
            "TBLPROPERTIES ('%s' = '1')",
            detail.name,
            found / 1e6,
            rows,
            3 * rows * found / 1e9,
            detail.name,
            _ROWS_PER_CHECK,
        )


def _has_delete_files(spark: SparkSession, detail: Detail) -> bool:
    """Tell whether a snapshot has position delete files, which are no deletion vectors."""
    files = metadata_table(spark, detail, "delete_files")
    return not files.where("content = 1 AND file_format <> 'PUFFIN'").isEmpty()


def _replacements(spark: SparkSession, before: Detail, after: Detail) -> Iterator[list[Detail]]:
    """Yield each sequence of snapshots that must all have the same rows; at least two in each.

    There is one sequence, unless others committed meanwhile.

    Raises:
        ConflictError: The snapshots don't lead from the first to the last any more.
    """
    table = spark.read.table(f"{after.name}.snapshots")
    snapshots = table.select("snapshot_id", "parent_id", "operation").collect()
    by_id = {row["snapshot_id"]: row for row in snapshots}
    current, same = after.snapshot_id, [after]
    while current != before.snapshot_id:
        if current not in by_id:
            raise ConflictError(
                f"the history of {before.name} was changed while it was purged, so its rows could "
                f"not be compared with those of snapshot {before.snapshot_id}, from before."
            )
        row = by_id[current]
        current = row["parent_id"]
        parent = dataclasses.replace(before, snapshot_id=current)
        if row["operation"] == _REPLACE:
            same.insert(0, parent)
            continue
        if len(same) > 1:
            yield same
        same = [parent]
    if len(same) > 1:
        yield same


def _check_same_ids(spark: SparkSession, before: Detail, after: Detail, id_column: str) -> None:
    """Compare the number of rows, and a hash of the IDs, of two snapshots."""

    def count(detail: Detail) -> Row:
        rows = read_snapshot(spark, detail, reader_options(spark, detail))
        ids = rows.select(values_of(id_column).alias("image_id"))
        return ids.agg(F.count(F.lit(1)), sum_of_hashes("image_id")).collect()[0]

    # Not in one query: over Spark Connect, both would then read the same snapshot.
    old, new = count(before), count(after)
    if old == new:
        return
    back = spell_call(before.name, "rollback_to_snapshot", snapshot_id=before.snapshot_id)
    raise VerificationError(
        f"the purge of {before.name} changed rows: it left {new[0]} of {old[0]} rows, or their IDs "
        f"differ. To undo it (and all that was committed since): {back}; do so before snapshots "
        "are expired."
    )


def _changed_files(spark: SparkSession, detail: Detail) -> dict[str, int]:
    """Count the data files that a snapshot removed and added, and their bytes."""
    root = detail.properties.get("write.data.path", detail.location).rstrip("/") + "/"
    root = re.sub(_EMPTY_HOST, r"\1", root)
    is_own = (F.col("snapshot_id") == detail.snapshot_id) & (F.col("data_file.content") == 0)
    size, path = F.col("data_file.file_size_in_bytes"), F.col("data_file.file_path")
    is_added, is_removed = F.col("status") == 1, F.col("status") == 2  # 0: was there before
    counted = (
        metadata_table(spark, detail, "entries")
        .where(is_own)
        .agg(
            F.count_if(is_removed).alias("removed_files"),
            F.count_if(is_added).alias("added_files"),
            F.coalesce(F.sum(F.when(is_removed, size)), F.lit(0)).alias("removed_bytes"),
            F.coalesce(F.sum(F.when(is_added, size)), F.lit(0)).alias("added_bytes"),
            F.count_if(
                is_removed & ~F.regexp_replace(path, _EMPTY_HOST, "$1").startswith(root)
            ).alias("foreign_files"),
        )
    )
    found: dict[str, int] = counted.collect()[0].asDict()
    return found


def _result(spark: SparkSession, detail: Detail, changed: Mapping[str, Any]) -> Purge:
    """Say which statement deletes the removed files, and when."""
    if detail.properties.get("gc.enabled") == "false":
        _log.warning(
            "%s does not own its files (gc.enabled is false), so Iceberg expires none of its "
            "snapshots: the removed rows stay in %s old files",
            detail.name,
            changed["removed_files"],
        )
        return Purge(**changed)
    if changed["foreign_files"]:
        _log.warning(
            "%s of the files that %s no longer refers to are outside of its directory (add_files "
            "took them in). expire_snapshots also deletes these originals: copy them before, if "
            "anything else needs them",
            changed["foreign_files"],
            detail.name,
        )
    refs = spark.read.table(f"{detail.name}.refs").where(F.col("name") != MAIN)
    if names := sorted(row["name"] for row in refs.select("name").collect()):
        _log.warning(
            "branches and tags of %s may keep the removed rows as long as they exist: %s",
            detail.name,
            ", ".join(map(repr, names)),
        )
    kept_ms = detail.properties.get("history.expire.max-snapshot-age-ms")
    kept = timedelta(days=_KEPT_DAYS) if kept_ms is None else timedelta(milliseconds=int(kept_ms))
    after = (datetime.now(UTC) + kept).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Purge(**changed, vacuum=spell_call(detail.name, "expire_snapshots"), vacuum_after=after)
