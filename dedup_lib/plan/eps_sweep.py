"""Count the rows that each of several eps values would remove, so that a user can choose one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.tables.id_table import FileRows


def sweep(
    rows: DataFrame,
    files: Sequence[FileRows],
    eps_values: Sequence[float],
    scored_by: Sequence[int],
) -> list[dict[str, Any]]:
    """Count the rows that each eps would remove, and estimate their bytes.

    Args:
        rows: The rows that the largest value removes: `file_path`, `marks`.
        files: Rows and sizes of the image table's files.
        eps_values: The values for lists with similarities. Rows that other lists mark count for
            each value.
        scored_by: The indexes of the lists with similarities.

    Returns:
        For each value, in the given order: `eps`, `removed_rows`, `removed_bytes_estimate`. The
        estimate counts each row with the average size of a row in its file. Keepers are not
        followed, so the counts include rows that `--on-lost-keeper keep-one` would spare.

    *Cost:* one pass over the rows. The driver collects one row per file.
    """
    counts = [
        F.count_if(_is_removed(eps, scored_by)).alias(f"eps_{index}")
        for index, eps in enumerate(eps_values)
    ]
    found = {row["file_path"]: row for row in rows.groupBy("file_path").agg(*counts).collect()}
    row_bytes = {file.file_path: file.size_bytes / file.num_rows for file in files}
    swept = []
    for index, eps in enumerate(eps_values):
        by_file = {path: row[f"eps_{index}"] for path, row in found.items()}
        num_bytes = sum(row_bytes[path] * num_rows for path, num_rows in by_file.items())
        swept.append(
            {
                "eps": eps,
                "removed_rows": sum(by_file.values()),
                "removed_bytes_estimate": round(num_bytes),
            }
        )
    return swept


def _is_removed(eps: float, scored_by: Sequence[int]) -> Column:
    """Tell whether a row has a mark with a high enough similarity, or a mark of another list."""
    return F.exists(
        "marks",
        lambda mark: ~mark["list_index"].isin(*scored_by) | (mark["score"] >= F.lit(1.0 - eps)),
    )
