"""Method `clone`: make a Delta table that shares its source's files, without the planned rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyspark.sql import SparkSession

from dedup_lib.delta import delete
from dedup_lib.delta.delete import DELETION_VECTORS, Purge
from dedup_lib.delta.history import USER_METADATA, Commit, commit_with
from dedup_lib.errors import InputChangedError, UnsupportedError, VerificationError
from dedup_lib.methods.new_output import NewOutput
from dedup_lib.plan.plan import Plan
from dedup_lib.publish import targets
from dedup_lib.publish.attempts import companion_directory
from dedup_lib.session.conf import session_settings, tuned_for_rows
from dedup_lib.session.failures import SPARK_ERRORS, first_line
from dedup_lib.session.progress import Step
from dedup_lib.session.sql_names import quoted, sql_name
from dedup_lib.tables.history import note_text
from dedup_lib.tables.pinned import PinnedTable, check_is_readable
from dedup_lib.tables.schema import column_names
from dedup_lib.tables.target import Attempt, Staged, Target

_PARTITIONED_SOURCE_SETTINGS = {
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # 007 stays 007
    "spark.databricks.delta.convert.useCatalogPartitions": "false",
}
# Features of a location, not of the data: a clone never gets them from its source.
_NOT_CLONED = {"catalogManaged", "catalogOwned-preview", "coordinatedCommits-preview"}
_GLOB = re.compile(r"[\[\]{}*?\\]")


@dataclass(frozen=True)
class Cloned:
    """A clone at a location where readers do not look.

    Attributes:
        version: Its Delta version.
        deletion_vectors: How many deletion vectors hide rows.
        purge: The files that a purge rewrote; None if the user did not ask for a purge.
    """

    version: int
    deletion_vectors: int
    purge: Purge | None


class Clone(NewOutput):
    """Clone the image table, and delete the planned rows from the clone."""

    name = "clone"

    def check(self) -> None:
        """Check that Delta can clone the table, and delete rows from the clone.

        Raises:
            UnsupportedError: The table's layout or protocol does not allow it.
        """
        images = self.images
        check_is_readable(images)
        check_clonable(images)
        if images.format == "delta":
            spark = self.run.session.spark
            delete.check_deletes(spark, images.location, must_be_allowed=False)

    @property
    def ids_are_unverified(self) -> bool:
        """Delta itself finds the rows to delete."""
        return True

    def write(self, plan: Plan, output: Target, attempt: Attempt, cleanup: ExitStack) -> Staged:
        """Make the clone at a location where readers do not see it yet."""
        run = self.run
        if not output.is_renamed:  # the directory must stay: the output will refer to files there
            base = targets.default_base(run.session, output)
            targets.check_base_is_known(base, "use --method rewrite, or give --output as a path.")
            run.workspace.clean_up_beside(base)
            companion = companion_directory(run.session.storage, base, run.attempt_id)
            attempt = cleanup.enter_context(companion)
        cloned = make_clone(
            run.session.spark,
            plan,
            attempt.staged,
            note=run.note(plan),
            image_settings=lambda: run.image_settings(plan.images, plan.files),
            is_purged=run.settings.purge,
            step=run.step,
        )
        run.report.bytes["output"] = 0
        if cloned.purge is not None:
            run.report.note_purge(dataclasses.asdict(cloned.purge), cloned.purge.added_bytes)
        return Staged(output, attempt.staged, cloned.version, cloned.deletion_vectors)


def make_clone(
    spark: SparkSession,
    plan: Plan,
    location: str,
    *,
    note: Mapping[str, Any],
    image_settings: Callable[[], Mapping[str, str]],
    is_purged: bool,
    step: Step,
) -> Cloned:
    """Clone the image table and delete the planned rows from the clone.

    Args:
        spark: The session.
        plan: The plan, with its image table.
        location: A path where nothing exists.
        note: The note for the clone's commits; its `run` names the attempt.
        image_settings: Returns session settings for reading and writing images.
        is_purged: Whether to rewrite files with removed rows without these rows.
        step: Times a step.

    *Cost:* the log (for Parquet, the footers), and one scan of the IDs. A purge reads and writes
    the images of each file that loses rows.
    """
    run, marked = str(note["run"]), {USER_METADATA: note_text(note)}
    few_rows = tuned_for_rows(spark, plan.image_ids.num_rows)
    with step("clone"), session_settings(spark, marked), few_rows:
        clone(spark, plan.images, location, name=f"dedup_source_{run}")
    if plan.counts.removed_rows > 0:
        with step("delete"):
            delete.delete_ids(
                spark,
                location,
                plan.images.id_column,
                plan.removed_ids,
                image_ids=plan.image_ids,
                view=f"dedup_removed_{run}",
                settings=marked,
                image_settings=image_settings,
            )
    with step("read history"):
        commit = _newest(spark, location, run)
    if not is_purged:
        return Cloned(commit.version, commit.deletion_vectors, None)
    with step("purge"), session_settings(spark, image_settings()):
        purge = delete.purge(spark, location, note)
    return Cloned(_newest(spark, location, run).version, 0, purge)


def check_clonable(images: PinnedTable) -> None:
    """Check that Delta can clone a table of this layout, as far as its path shows.

    Raises:
        UnsupportedError: Delta can't clone the table.
    """
    if images.format == "delta":
        return
    if images.format != "parquet":
        raise UnsupportedError(
            f"image table {images.location!r}: Delta clones Delta tables and Parquet directories "
            "only. Use --method rewrite."
        )
    if images.leftovers:
        raise UnsupportedError(
            f"image table {images.location!r}: Delta would take {images.leftovers[0].path!r} for a "
            "data file. Use --method rewrite, or move it away."
        )
    in_files = {name for schema in images.file_schemas for name in column_names(schema)}
    if in_files.intersection(images.partition_columns):
        raise UnsupportedError(
            f"image table {images.location!r}: its files also have the columns of its directory "
            "names, which Delta can't clone. Use --method rewrite."
        )
    advice = "Use --method rewrite, or rename it."
    path = images.root.partition(":")[2]
    if len(images.files) == 1 and images.files[0].path == images.root:
        raise UnsupportedError(
            f"image table {images.location!r} is one file: Delta clones directories. "
            "Use --method rewrite, or give its directory."
        )
    if _GLOB.search(path):
        raise UnsupportedError(
            f"image table {images.location!r}: Delta would read the path as a pattern. {advice}"
        )
    if images.partition_columns and quote(path, safe="/:@!$&'()+,;=~-._") != path:
        raise UnsupportedError(
            f"image table {images.location!r}: Delta can't clone a partitioned Parquet directory "
            f"whose path has spaces or other characters that URIs escape. {advice}"
        )


def clone(spark: SparkSession, images: PinnedTable, location: str, *, name: str) -> None:
    """Make a Delta table that refers to the data files of a Delta table or a Parquet directory.

    Args:
        spark: The session.
        images: The source, at its pinned version.
        location: The path of the new table, which has deletion vectors on.
        name: The name of a temporary catalog table, which a partitioned Parquet source needs.

    Raises:
        UnsupportedError: Delta refused, or would drop a feature of the source.
        InputChangedError: The source no longer has the pinned files.

    *Cost:* Delta: its log. Parquet: also the footers. No data is copied.
    """
    try:
        with _clone_source(spark, images, name) as source:
            row = spark.sql(
                f"CREATE TABLE {sql_name(location)} SHALLOW CLONE {source} "
                f"TBLPROPERTIES ('{DELETION_VECTORS}' = 'true')"
            ).collect()[0]
    except SPARK_ERRORS as error:
        raise UnsupportedError(
            f"image table {images.location!r} can't be cloned: {first_line(error)} "
            "Use --method rewrite."
        ) from error
    if images.format == "delta":
        _check_features_kept(spark, images.location, location)
        return
    pinned = (len(images.files), sum(file.size_bytes for file in images.files))
    if (row["source_num_of_files"], row["source_table_size"]) != pinned:
        raise InputChangedError(
            f"image table {images.location!r} has other files than at the start of the run. "
            "Run again when no one writes there."
        )


def _newest(spark: SparkSession, location: str, run: str) -> Commit:
    commit = commit_with(spark, location, "run", run, newest=10)
    if commit is None:
        raise VerificationError(f"the clone that was staged in {location!r} lacks its commit.")
    return commit


@contextmanager
def _clone_source(spark: SparkSession, images: PinnedTable, name: str) -> Iterator[str]:
    """Return the SQL text of the source for a SHALLOW CLONE.

    Delta clones a partitioned Parquet directory only as a catalog table, so this makes a temporary
    catalog table.
    """
    if images.format == "delta":
        yield f"{sql_name(images.location)} VERSION AS OF {images.version}"
    elif not images.partition_columns:
        yield f"parquet.{quoted(images.root)}"
    else:
        with session_settings(spark, _PARTITIONED_SOURCE_SETTINGS):
            try:
                spark.catalog.createTable(quoted(name), path=images.root, source="parquet")
                yield quoted(name)
            finally:
                drop_clone_source(spark, name)


def drop_clone_source(spark: SparkSession, name: str) -> None:
    """Drop the temporary catalog table of a clone's source, if it exists; its files stay."""
    spark.sql(f"DROP TABLE IF EXISTS {quoted(name)}")


def _check_features_kept(spark: SparkSession, source: str, cloned: str) -> None:
    """Refuse a clone that lacks a feature of its source: Delta drops unknown features silently."""
    lost = _features(spark, source) - _features(spark, cloned) - _NOT_CLONED
    if lost:
        raise UnsupportedError(
            f"image table {source!r} has protocol features that this Delta can't write: "
            f"{', '.join(sorted(lost))}. Use a newer Delta, or --method rewrite."
        )


def _features(spark: SparkSession, location: str) -> set[str]:
    # This costs less than DESCRIBE DETAIL, which computes the state of a new table.
    rows = spark.sql(f"SHOW TBLPROPERTIES {sql_name(location)}").collect()
    prefix = "delta.feature."
    return {row["key"].removeprefix(prefix) for row in rows if row["key"].startswith(prefix)}
