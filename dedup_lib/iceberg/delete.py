"""Delete rows on a branch of an Iceberg table, and verify which rows the branch hides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from dedup_lib.errors import ConflictError, VerificationError
from dedup_lib.iceberg.branch import Branch
from dedup_lib.iceberg.detail import detail_of, reader_options
from dedup_lib.iceberg.errors import conflict
from dedup_lib.iceberg.history import Snapshot, note_settings, read_snapshots
from dedup_lib.lists.removal_list import sum_of_hashes
from dedup_lib.plan import id_join
from dedup_lib.plan.id_scan import IdSizes
from dedup_lib.plan.plan import Plan
from dedup_lib.session.conf import session_settings, tuned_for_rows, tuning_settings
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.sql_names import quoted

# The scan of a DELETE takes no options: without this, a small table would have many small tasks.
_DELETE_SETTINGS = {"spark.sql.iceberg.read.adaptive-split-size.enabled": "false"}


def delete_ids(
    spark: SparkSession,
    branch: Branch,
    plan: Plan,
    note: Mapping[str, Any],
    *,
    removed_ids: DataFrame,
    num_rows: int,
) -> None:
    """Delete the rows with some IDs on a branch, in one commit.

    Args:
        spark: The session.
        branch: The branch. Its table deletes by merge-on-read, and has about as many IDs as the
            image table.
        plan: The plan.
        note: The note for the snapshot; its `run` is the attempt's name.
        removed_ids: One row per ID, column `image_id`, of the same type as the ID column.
        num_rows: About how many rows will be deleted.

    Raises:
        ConflictError: The branch is gone, or others changed it.

    *Nulls:* rows with a NULL ID stay.
    *Cost:* one scan of the IDs. If the removed IDs are few enough they are broadcast; otherwise
    both sides are shuffled: the more IDs, the more partitions. No image is read.
    """
    images, image_ids = plan.images, plan.image_ids
    column = f"images.{quoted(images.id_column)}"
    view = f"dedup_removed_{note['run']}".replace("-", "_")
    partitions: Mapping[str, str] = {}
    hint = "/*+ BROADCAST(removed) */ "
    if not id_join.can_be_broadcast(_sizes_of_removed(image_ids, num_rows)):
        hint = ""
        partitions = id_join.shuffle_settings(
            spark, "shuffle both", image_ids, image_ids, only_more=True
        )
    removed_ids.createOrReplaceTempView(view)
    try:
        with (
            tuning_settings(spark, {**_DELETE_SETTINGS, **partitions}),
            session_settings(spark, note_settings(note)),
            tuned_for_rows(spark, image_ids.num_rows),
        ):
            # With a plain condition Iceberg would drop whole files, and leave out the note. The
            # column is compared as in `values_of`.
            spark.sql(
                f"DELETE FROM {branch.written} AS images WHERE EXISTS (SELECT {hint}1 FROM {view} "
                f"AS removed WHERE removed.image_id = coalesce({column}, {column}))"
            ).collect()
    except SPARK_ERRORS as error:
        if (refused := conflict(branch.location, error)) is not None:
            raise refused from error
        raise
    finally:
        spark.catalog.dropTempView(view)


def _sizes_of_removed(ids: IdSizes, num_rows: int) -> IdSizes:
    """Estimate the size of the removed IDs: they are as long as the table's on average."""
    return IdSizes(num_rows, 0, ids.id_bytes * num_rows // max(ids.num_rows, 1))


def own_snapshot(spark: SparkSession, branch: Branch, run: str) -> Snapshot:
    """Return the branch's only snapshot after the pinned one: that of this run's deletion.

    Raises:
        ConflictError: The branch was dropped, or is not as this run made it.
    """
    snapshots = read_snapshots(spark, branch.table)
    head = snapshots.by_id.get(snapshots.heads.get(branch.name, -1))
    is_own = head is not None and head.parent_id == branch.parent_id and head.note.get("run") == run
    if head is None or not is_own:
        raise ConflictError(
            f"branch {branch.name!r} of {branch.location!r} was dropped or changed while "
            "this run was at work; no row of the table was deleted. Run again."
        )
    return head


def verify(spark: SparkSession, branch: Branch, snapshot: Snapshot, plan: Plan) -> None:
    """Compare the rows that the branch hides with the plan: none more, none less.

    The rows of the pinned snapshot must be those of the branch and those of the plan. They are
    compared file by file, by their number and by the sum of a hash of their positions.

    Raises:
        VerificationError: They differ.

    *Cost:* a scan of the pinned snapshot and one of the branch that read row positions only, and
    one of the plan. A row per file and task is shuffled. (Iceberg's summaries count hidden rows,
    and whole deletion vectors: they don't tell which rows a commit hides.)
    """
    options = reader_options(spark, detail_of(plan.images))
    pinned = spark.read.options(**options).option("snapshot-id", str(branch.parent_id))
    before = _positions(pinned.table(branch.table))
    # Not by its ID: over Spark Connect, one query reads one snapshot for each name of a table.
    # `publish` checks that the branch is still at this snapshot.
    try:
        after = _positions(spark.read.options(**options).table(branch.written))
        wrong = _find_wrong(before, after, plan)
    except SPARK_ERRORS as error:
        if (refused := conflict(branch.location, error)) is not None:
            raise refused from error
        raise
    if wrong is not None:
        raise VerificationError(
            f"snapshot {snapshot.snapshot_id} of {branch.location!r} hides other rows than "
            f"the plan's, such as in {wrong['file_path']!r} ({wrong['num_rows']:+} rows "
            "beyond the plan). It was not published: the table is as it was."
        )


def _find_wrong(before: DataFrame, after: DataFrame, plan: Plan) -> Row | None:
    """Return `file_path` and `num_rows` of a file that does not hide the planned rows, or None."""
    sides = [
        _summed(before, F.lit(1)),
        _summed(after, F.lit(-1)),
        _summed(plan.rows.select("file_path", "row_index"), F.lit(-1)),
    ]
    both = sides[0].unionByName(sides[1]).unionByName(sides[2])
    sums = both.groupBy("file_path").agg(
        F.sum("num_rows").alias("num_rows"), F.sum("hash_sum").alias("hash_sum")
    )
    with tuned_for_rows(before.sparkSession, plan.image_ids.num_rows):
        return sums.where("num_rows <> 0 OR hash_sum <> 0").orderBy("file_path").head()


def _positions(rows: DataFrame) -> DataFrame:
    """Return the places of a snapshot's rows: `file_path`, `row_index`.

    (With `_deleted` the frame would also have the hidden rows.)
    """
    return rows.select(F.col("_file").alias("file_path"), F.col("_pos").alias("row_index"))


def _summed(positions: DataFrame, sign: Column) -> DataFrame:
    return positions.groupBy("file_path").agg(
        (F.count(F.lit(1)) * sign).alias("num_rows"),
        (sum_of_hashes("file_path", "row_index") * sign).alias("hash_sum"),
    )
