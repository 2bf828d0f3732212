"""Find row positions in the files of Delta tables that offer no row index."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from dedup_lib.locations import decode_path
from dedup_lib.session.conf import PARQUET_READER_OPTIONS
from dedup_lib.session.sql_names import quoted
from dedup_lib.tables.columns import metadata
from dedup_lib.tables.id_types import ImageId, shown, stored


def row_indexes(
    spark: SparkSession, paths: Collection[str], id_field: StructField, ids: Collection[ImageId]
) -> dict[tuple[str, ImageId], int]:
    """Find the first row of each of a few IDs in each of a few files.

    Args:
        spark: The session.
        paths: The paths of the files, as in `FileInfo`.
        id_field: The ID column of the files.
        ids: The IDs to find, as people see them.

    Returns:
        The index of the row within the file, counted from 0, by file and ID. There is no entry for
        an ID that is not in the file.

    *Cost:* a scan of the IDs of these files.
    """
    if not paths:
        return {}
    reader = spark.read.schema(StructType([id_field])).options(**PARQUET_READER_OPTIONS)
    frame = reader.parquet(*paths)
    image_id = F.col(quoted(id_field.name))
    path, index = metadata(frame, "file_path"), metadata(frame, "row_index")
    rows = frame.where(image_id.isin([stored(one, id_field.dataType) for one in ids]))
    found = rows.select(path.alias("path"), image_id.alias("image_id"), index.alias("index"))
    first = found.groupBy("path", "image_id").agg(F.min("index").alias("index")).collect()
    return {(decode_path(row["path"]), shown(row["image_id"])): row["index"] for row in first}
