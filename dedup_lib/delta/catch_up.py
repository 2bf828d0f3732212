"""Make an output equal to that of a full run, by writing only the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.delta import delete
from dedup_lib.delta.detail import delta_detail, delta_version
from dedup_lib.delta.errors import is_conflict
from dedup_lib.delta.history import (
    USER_METADATA,
    Commit,
    commit_with,
    count_rows_at,
)
from dedup_lib.delta.image_changes import explain_lost_files
from dedup_lib.delta.output_state import Reached, deletion_name, transaction_of
from dedup_lib.errors import ConflictError, ImagesChangedError, VerificationError
from dedup_lib.locations import is_path
from dedup_lib.methods.spark_engine import BROADCAST_MOST_BYTES, keep_by_ids
from dedup_lib.plan.id_scan import broadcast_bytes, sum_of_id_bytes
from dedup_lib.plan.plan import Plan
from dedup_lib.plan.planning import PLAN_SETTINGS
from dedup_lib.session.conf import tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.history import ImageChanges, note_text

_NEWEST = 1000


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
    spark: SparkSession,
    plan: Plan,
    changes: ImageChanges,
    output: str,
    materialise: Callable[[DataFrame], DataFrame],
) -> Difference:
    """Compare the IDs of an output with the IDs of the image table, without the planned ones.

    Args:
        spark: The session.
        plan: The plan, for all of the image table.
        changes: The changes in the image table.
        output: The output's path or name.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    Raises:
        ImagesChangedError: There are so many changes that a full run is needed, or the changes
            can't be determined.

    *Cost:* a scan of the IDs of both tables and of the new rows, and a shuffle of these IDs.
    """
    column = plan.images.stored_id
    published = spark.sql(f"SELECT * FROM {sql_name(output)}").select(column)
    sides = {
        "images": plan.images.table_ids,
        "removed": plan.rows.select("image_id"),
        "published": published,
    }
    if changes.added is not None:
        sides["added"] = changes.added.select(column)
    if changes.changed_ids is not None:
        sides["changed"] = changes.changed_ids
    names = ("images", "removed", "published", "added", "changed")
    counted = [
        rows.select("image_id", *(F.lit(int(name == side)).alias(name) for name in names))
        for side, rows in sides.items()
    ]
    totals = [F.sum(name).alias(name) for name in names]
    with tuning_settings(spark, PLAN_SETTINGS), explain_lost_files(plan.images):
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


@dataclass(frozen=True)
class CatchingUp:
    """Update an output by two commits: one of deletions, if there are any, and one of new rows.

    Attributes:
        spark: The session.
        plan: The plan, for all of the image table.
        difference: The difference between the output and the result of a full run.
        output: The output's path or name.
        reached: The progress of the output.
        note: The note for the commits; its `run` names the attempt.
        image_settings: Returns session settings for a statement that reads or writes images.
    """

    spark: SparkSession
    plan: Plan
    difference: Difference
    output: str
    reached: Reached
    note: Mapping[str, Any]
    image_settings: Callable[[], Mapping[str, str]]

    def commit(self) -> Commit:
        """Make both commits, and return the second; then the output equals that of a full run.

        Raises:
            ConflictError: Another such run committed in the meantime.

        *Cost:* deletion vectors; the images of the new rows are read and written once. If rows are
        copied again, the whole image table is read.
        """
        if self.difference.deleted_ids:
            self.delete()
        return self.append()

    def delete(self) -> None:
        """Delete the rows that the output should not have, by deletion vectors."""
        if not delete.has_deletion_vectors(delta_detail(self.spark, self.output)):
            delete.enable_deletion_vectors(self.spark, self.output)
        name = {"run": deletion_name(self.note["run"]), "run_key": None}
        note = {**self.note, **self.reached.note_of_deletion(), **name}
        numbered = transaction_of(note)
        rows = delete.delete_ids(
            self.spark,
            self.output,
            self.plan.images.id_column,
            self.difference.ids.where("is_deleted").select("image_id"),
            image_ids=self.plan.image_ids,
            view="dedup_deleted_since_last_run",
            settings={
                USER_METADATA: note_text(note),
                **{f"spark.databricks.delta.write.{key}": numbered[key] for key in numbered},
            },
            image_settings=self.image_settings,
        )
        # If Spark Connect sent the statement again, Delta has skipped the repetition.
        if rows is None and _find_commit(self.spark, self.output, str(name["run"])) is None:
            raise _overtaken(self.output)

    def append(self) -> Commit:
        """Append the missing rows and note the output's progress, even if no row is missing."""
        note = {**self.note, **self.reached.note_of_end()}
        with tuning_settings(self.spark, self.image_settings()):
            return append_rows(self.spark, self.output, self.due_rows(), note)

    def due_rows(self) -> DataFrame:
        """The rows that the output lacks."""
        images, ids, added = self.plan.images, self.difference.ids, self.difference.added
        parts = [self.spark.createDataFrame([], images.frame.schema)]
        if added is not None and self.difference.added_rows:
            left_out = ids.where("is_left_out").select("image_id")
            parts.append(keep_by_ids(added, images.id_column, left_out))
        if self.difference.copied_ids:
            copied = ids.where("is_copied").select("image_id")
            parts.append(keep_by_ids(images.frame, images.id_column, copied, drops=False))
        return reduce(DataFrame.unionByName, parts)


def append_rows(
    spark: SparkSession, output: str, rows: DataFrame, note: Mapping[str, Any]
) -> Commit:
    """Append rows to an output, with the note that ends a run.

    Raises:
        ConflictError: Another such run committed in the meantime.
    """
    writer = rows.write.format("delta").mode("append").option("mergeSchema", "true")
    # Options rather than settings: on some platforms a session can't set these.
    writer = writer.options(userMetadata=note_text(note), **transaction_of(note))
    try:
        if is_path(output):
            writer.save(output)
        else:
            writer.saveAsTable(sql_name(output))
    except SPARK_ERRORS as error:
        if is_conflict(error):
            raise _overtaken(output) from error
        raise
    commit = _find_commit(spark, output, str(note["run"]))
    if commit is None:  # Delta has skipped the commit
        raise _overtaken(output)
    return commit


def _find_commit(spark: SparkSession, output: str, run: str) -> Commit | None:
    return commit_with(spark, output, "run", run, newest=_NEWEST)


def verify(spark: SparkSession, plan: Plan, output: str, commit: Commit | None) -> int:
    """Compare the rows of an output with the rows that the plan keeps; return its version.

    Args:
        spark: The session.
        plan: The plan.
        output: The output's path or name.
        commit: The commit that updated the output; None for its newest version.

    Raises:
        VerificationError: The rows differ.
    """
    version = delta_version(spark, output) if commit is None else commit.version
    found = count_rows_at(spark, output, version)
    if found != plan.kept_rows:
        raise VerificationError(
            f"version {version} of {output!r} has {found} rows, but the plan keeps "
            f"{plan.kept_rows}: an overlapping run changed it, or its rows without an ID differ. "
            "Run again: this compares all IDs again. If it does not help, add --output-mode "
            "overwrite once."
        )
    return version


def _check_weight(output: str, num_bytes: int) -> None:
    """Check that the IDs are small enough for a broadcast."""
    if num_bytes > BROADCAST_MOST_BYTES:
        raise ImagesChangedError(
            f"too much has changed since the last run to {output!r}: the changed IDs have "
            f"{num_bytes:,} bytes. Add --output-mode overwrite once, for a full run."
        )


def _overtaken(output: str) -> ConflictError:
    return ConflictError(
        f"another run changed {output!r} in the meantime: run again, for the changes since then."
    )
