"""Remove duplicates from DataFrames, lazily."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import ColumnTypeError
from dedup_lib.methods.spark_engine import keep_by_ids
from dedup_lib.plan.removal_plan import plan_schema, with_reasons
from dedup_lib.session.sql_names import values_of
from dedup_lib.tables.columns import metadata
from dedup_lib.tables.pinned import id_type


def remove_duplicates(
    images: DataFrame,
    duplicate_ids: DataFrame,
    *,
    image_id_column: str = "image_id",
    duplicate_id_column: str = "id",
) -> DataFrame:
    """Drop the image rows whose ID is in a removal list, lazily.

    It works in `DataFrame.transform`. Unlike `run`, it sets no session settings, does not bound
    memory, does not verify the result, and has no safety limits. On Spark 4.0.0 set
    `spark.sql.parquet.enableVectorizedReader` to false first.

    Args:
        images: One row per image; the ID column is a string, an integer, a decimal without a
            fraction, or binary.
        duplicate_ids: One row per list entry; its ID column has the same type.
        image_id_column: The ID column of `images`.
        duplicate_id_column: The ID column of `duplicate_ids`.

    Returns:
        The rows that stay, with the columns of `images`, in no particular order.

    Raises:
        MissingColumnError: An ID column is missing.
        ColumnTypeError: The ID types differ, or a type is not allowed for IDs.

    *Nulls:* rows with a NULL ID stay; NULL list entries remove nothing.
    *Cost:* `images` is evaluated twice: first its IDs, to find the matching entries, then its rows.
    The matching IDs are broadcast; no image is shuffled.
    """
    entries = _entries(images, duplicate_ids, image_id_column, duplicate_id_column)
    ids = images.select(values_of(image_id_column).alias("image_id"))
    matched = ids.join(entries, "image_id", "left_semi").distinct()
    return keep_by_ids(images, image_id_column, matched)


def plan_removal(
    images: DataFrame,
    duplicate_ids: DataFrame,
    *,
    image_id_column: str = "image_id",
    duplicate_id_column: str = "id",
) -> DataFrame:
    """Find the image rows that a removal list would drop, lazily.

    Args:
        images: One row per image, read from Parquet files (or from a Delta table with
            deletion vectors), so that rows have positions.
        duplicate_ids: One row per list entry; its ID column has the same type.
        image_id_column: The ID column of `images`.
        duplicate_id_column: The ID column of `duplicate_ids`.

    Returns:
        One row per image row to remove: `image_id`; `file_path` (string) and `row_index` (bigint,
        from 0), which locate the row; `reasons` (array of structs `list_location`, `list_kind`,
        `keeper_id`, `score`); `surviving_keeper_id` (of the ID's type; null).

    Raises:
        MissingColumnError: An ID column is missing.
        ColumnTypeError: The ID types differ, or a type is not allowed for IDs.

    *Nulls:* a NULL ID, in either frame, matches nothing.
    *Cost:* one scan of the image IDs and one of the list; no other column is read.
    """
    entries = _entries(images, duplicate_ids, image_id_column, duplicate_id_column)
    positioned = images.select(
        values_of(image_id_column).alias("image_id"),
        metadata(images, "file_path").alias("file_path"),
        metadata(images, "row_index").alias("row_index"),
    )
    matched = positioned.join(entries, "image_id", "left_semi")
    return with_reasons(
        matched, [(None, "remove")], plan_schema(images.schema[image_id_column].dataType)
    )


def _entries(
    images: DataFrame, duplicate_ids: DataFrame, image_id_column: str, duplicate_id_column: str
) -> DataFrame:
    wanted = id_type(images, image_id_column, what="image table", flag="image_id_column")
    found = id_type(
        duplicate_ids, duplicate_id_column, what="removal list", flag="duplicate_id_column"
    )
    if wanted != found:
        raise ColumnTypeError(
            f"removal list: column {duplicate_id_column!r} is {found}, but the image IDs are "
            f"{wanted}. IDs are never cast implicitly: cast one of the columns."
        )
    entry = values_of(duplicate_id_column).alias("image_id")
    return duplicate_ids.select(entry).where(F.col("image_id").isNotNull())
