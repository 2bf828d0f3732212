"""Find the difference between an output and the result of a full run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import ImagesChangedError
from dedup_lib.methods.spark_engine import BROADCAST_MOST_BYTES, keep_by_ids
from dedup_lib.plan.id_scan import broadcast_bytes, sum_of_id_bytes
from dedup_lib.plan.plan import Plan
from dedup_lib.plan.planning import PLAN_SETTINGS
from dedup_lib.session.conf import tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.tables.history import ImageChanges
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.pinned import PinnedTable

_LOST_FILE = re.compile(r"FileNotFound|FILE_NOT_EXIST|PATH_NOT_FOUND")


@dataclass(frozen=True)
class Difference:
    """The difference between an output and the result of a full run.

    Attributes:
        added: The image rows that are new since the last run; None if there are no new rows.
        added_rows: How many of the new rows the output gets.
        ids: One row per ID that has new rows, or whose published rows are wrong. Its columns are
            `image_id`; `added`, the number of new rows; `is_left_out`, whether these rows are not
            appended as new rows; `is_deleted`, whether published rows are deleted; `is_copied`,
            whether all its rows of the image table are copied to the output instead.
        deleted_ids: How many IDs have rows to delete.
        copied_ids: How many IDs have rows to copy again.
    """

    added: DataFrame | None
    added_rows: int
    ids: DataFrame
    deleted_ids: int
    copied_ids: int

    @property
    def is_empty(self) -> bool:
        """Whether the output already equals that of a full run."""
        return not (self.added_rows or self.deleted_ids or self.copied_ids)

    def described(self) -> dict[str, int]:
        """Return the numbers, for the report."""
        return {
            "added_rows": self.added_rows,
            "deleted_ids": self.deleted_ids,
            "copied_ids": self.copied_ids,
        }


def compare(
    plan: Plan,
    changes: ImageChanges,
    output: str,
    rows: DataFrame,
    materialise: Callable[[DataFrame], DataFrame],
) -> Difference:
    """Compare the IDs of an output with the IDs of the image table, without the planned ones.

    Args:
        plan: The plan, for all of the image table.
        changes: The changes in the image table.
        output: The output's path or name, for messages.
        rows: The output's rows.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    Raises:
        ImagesChangedError: There are so many changes that a full run is needed, or the changes
            can't be determined.

    *Cost:* a scan of the IDs of both tables and of the new rows, and a shuffle of these IDs.
    """
    column = plan.images.stored_id
    sides = {
        "images": plan.images.table_ids,
        "removed": plan.rows.select("image_id"),
        "published": rows.select(column),
    }
    if changes.added is not None:
        sides["added"] = changes.added.select(column)
    if changes.changed_ids is not None:
        sides["changed"] = changes.changed_ids
    names = ("images", "removed", "published", "added", "changed")
    counted = [
        ids.select("image_id", *(F.lit(int(name == side)).alias(name) for name in names))
        for side, ids in sides.items()
    ]
    totals = [F.sum(name).alias(name) for name in names]
    with tuning_settings(rows.sparkSession, PLAN_SETTINGS), _explain_lost_files(plan.images):
        by_id = reduce(DataFrame.unionAll, counted).groupBy("image_id").agg(*totals)
        is_removed, is_changed = F.col("removed") > 0, F.col("changed") > 0
        # Rows without an ID can't be distinguished, so a wrong number of them can't be corrected.
        has_id = F.col("image_id").isNotNull()
        is_wrong = is_changed | (F.col("published") + F.col("added") != F.col("images"))
        is_copied = has_id & ~is_removed & is_wrong & (F.col("images") > 0)
        is_left_out = is_removed | (has_id & is_wrong)
        marked = by_id.select(
            "image_id",
            "added",
            ((F.col("published") > 0) & is_left_out).alias("is_deleted"),
            is_copied.alias("is_copied"),
            ((F.col("added") > 0) & is_left_out).alias("is_left_out"),
            (~has_id & is_wrong).alias("is_lost"),
        )
        ids = materialise(marked.where("is_deleted OR is_copied OR is_lost OR added > 0"))
        stays = F.when(F.col("is_left_out"), 0).otherwise(F.col("added"))
        row = ids.agg(
            F.coalesce(F.sum(stays), F.lit(0)).alias("added_rows"),
            F.count_if("is_deleted").alias("deleted_ids"),
            F.count_if("is_copied").alias("copied_ids"),
            F.count_if("is_lost").alias("lost_ids"),
            sum_of_id_bytes(F.when(F.col("is_left_out") | F.col("is_copied"), F.col("image_id"))),
            F.count_if(F.col("is_left_out") | F.col("is_copied")).alias("num_ids"),
        ).collect()[0]
    if row["lost_ids"]:
        raise ImagesChangedError(
            f"output {output!r} has a wrong number of rows without an ID, and such rows can't be "
            "distinguished: add --output-mode overwrite once, for a full run."
        )
    _check_weight(output, broadcast_bytes(row["num_ids"], row["id_bytes"]))
    return Difference(changes.added, row["added_rows"], ids, row["deleted_ids"], row["copied_ids"])


def due_rows(plan: Plan, difference: Difference) -> DataFrame:
    """Return the rows that the output lacks, lazily, with the image table's columns.

    *Cost:* the new rows are read; if rows are copied again, the whole image table. No image is
    shuffled.
    """
    images, ids, added = plan.images, difference.ids, difference.added
    parts = [no_rows(images)]
    if added is not None and difference.added_rows:
        left_out = ids.where("is_left_out").select("image_id")
        parts.append(keep_by_ids(added, images.id_column, left_out))
    if difference.copied_ids:
        copied = ids.where("is_copied").select("image_id")
        parts.append(keep_by_ids(images.frame, images.id_column, copied, drops=False))
    return reduce(DataFrame.unionByName, parts)


def no_rows(images: ImageTable) -> DataFrame:
    """Return no rows, with the image table's columns."""
    return images.frame.sparkSession.createDataFrame([], images.frame.schema)


def _check_weight(output: str, num_bytes: int) -> None:
    """Check that the IDs are small enough for a broadcast."""
    if num_bytes > BROADCAST_MOST_BYTES:
        raise ImagesChangedError(
            f"too much has changed since the last run to {output!r}: the changed IDs have "
            f"{num_bytes:,} bytes. Add --output-mode overwrite once, for a full run."
        )


@contextmanager
def _explain_lost_files(images: PinnedTable) -> Iterator[None]:
    """Explain the error if a file with new rows is missing because it was cleaned up."""
    try:
        yield
    except SPARK_ERRORS as error:
        if not _LOST_FILE.search(str(error)):
            raise
        raise ImagesChangedError(
            f"image table {images.location!r} lacks a file with rows that were added since the "
            "last run: VACUUM, or the expiry of snapshots, deletes compacted files. To go on, add "
            f"--output-mode overwrite once, for a full run: {first_line(error)}"
        ) from error
