"""The files of an image table as rows for the engine `arrow`: short, as there may be many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dedup_lib.executor.id_files import encode_path
from dedup_lib.files.groups import bytes_per_group, partition_keys, spread
from dedup_lib.locations import decode_path
from dedup_lib.session.spark_session import cores, literal_rows
from dedup_lib.tables.id_table import FileRows
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.layout.partitions import relative_parts

# The cost of opening, naming and listing a file, besides its content; expressed in bytes.
_FILE_OVERHEAD_BYTES = 1024**2
# So many rows take some 3 MB as text. A query over Spark Connect may have 128 MB.
_MOST_IN_A_QUERY = 20_000
_SCHEMA = (
    "number bigint, key bigint, path string, spelled string, size_bytes bigint, num_rows bigint, "
    "keeps_empty boolean"
)


class FilesToRewrite(NamedTuple):
    """The files of a table, divided into groups, one for each task.

    Attributes:
        directory: The URI of the directory of all files.
        frame: One row per file: `number`, `key` (of its group), `file_path` (spelled as in
            `_metadata`), `path` (below the directory), `size_bytes`, `num_rows`, `keeps_empty`.
        num_groups: The number of groups.
    """

    directory: str
    frame: DataFrame
    num_groups: int


def files_to_rewrite(
    spark: SparkSession,
    images: ImageTable,
    files: Sequence[FileRows],
    *,
    keeps_empty: bool,
    materialise: Callable[[DataFrame], DataFrame],
) -> FilesToRewrite:
    """Divide the files of a table into groups of about the same weight.

    Args:
        spark: The session.
        images: The image table; it has a file.
        files: The numbers of rows and sizes of its files.
        keeps_empty: Whether one file is written even if it gets no row.
        materialise: Evaluates a frame once, and returns a frame that reads the result.

    *Cost:* a query has some 150 bytes for each file; if there are many files, their rows are
    written by some queries, one after another.
    """
    weights = [file.size_bytes + _FILE_OVERHEAD_BYTES for file in images.files]
    groups = spread(weights, bytes_per_group(sum(weights), cores(spark)))
    keys = partition_keys(spark, max(groups) + 1)
    directory = images.root.rstrip("/")
    if images.files[0].path == images.root:  # the table is a file
        directory = directory.rpartition("/")[0]
    prefix = f"{encode_path(directory)}/"
    scanned = {decode_path(file.file_path): file for file in files}
    rows: list[dict[str, Any]] = []
    for number, (file, group) in enumerate(zip(images.files, groups, strict=True)):
        relative_parts(images.root, file)  # refuses a file outside
        path = file.path.removeprefix(f"{directory}/")
        row = {"number": number, "key": keys[group], "path": path, "size_bytes": file.size_bytes}
        if (known := scanned.get(file.path)) is not None:
            row["num_rows"] = known.num_rows
            if known.file_path != prefix + path:
                row["spelled"] = known.file_path
        rows.append(row)
    rows[0]["keeps_empty"] = keeps_empty
    frame = _sent(spark, rows, materialise).select(
        "number",
        "key",
        F.coalesce("spelled", F.concat(F.lit(prefix), "path")).alias("file_path"),
        "path",
        "size_bytes",
        F.coalesce("num_rows", F.lit(0)).alias("num_rows"),
        F.coalesce("keeps_empty", F.lit(False)).alias("keeps_empty"),
    )
    return FilesToRewrite(directory, frame, len(keys))


def _sent(
    spark: SparkSession,
    rows: Sequence[dict[str, Any]],
    materialise: Callable[[DataFrame], DataFrame],
) -> DataFrame:
    """Return a frame of the rows; if there are many, send them in parts, which executors write."""
    if len(rows) <= _MOST_IN_A_QUERY:
        return literal_rows(spark, rows, _SCHEMA)
    starts = range(0, len(rows), _MOST_IN_A_QUERY)
    parts = (rows[start : start + _MOST_IN_A_QUERY] for start in starts)
    return reduce(
        DataFrame.unionAll,
        [materialise(literal_rows(spark, part, _SCHEMA)) for part in parts],
    )
