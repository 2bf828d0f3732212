"""Make an output equal to that of a full run, by writing only the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from dedup_lib.delta import delete
from dedup_lib.delta.detail import delta_detail, delta_version
from dedup_lib.delta.errors import is_conflict
from dedup_lib.delta.history import (
    USER_METADATA,
    Commit,
    commit_with,
    count_rows_at,
)
from dedup_lib.delta.transactions import transaction_of
from dedup_lib.errors import ConflictError, VerificationError
from dedup_lib.locations import is_path
from dedup_lib.methods.since_last_run.difference import Difference, due_rows
from dedup_lib.methods.since_last_run.output_state import Reached, deletion_name
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.sql_names import sql_name
from dedup_lib.tables.history import note_text

_NEWEST = 1000


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
            return append_rows(self.spark, self.output, due_rows(self.plan, self.difference), note)


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


def _overtaken(output: str) -> ConflictError:
    return ConflictError(
        f"another run changed {output!r} in the meantime: run again, for the changes since then."
    )
