"""How much each of several eps would remove: for choosing one, before anything is removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.tables.pinned import FileRows


def sweep(
    rows: DataFrame, files: Sequence[FileRows], eps_values: Sequence[float]
) -> list[dict[str, Any]]:
    """Count the rows that each eps would remove, and estimate their bytes.

    Args:
        rows: Rows that go by the largest of the values: `file_path`, `marks`.
        files: Rows and sizes of the image table's files.
        eps_values: For pairwise lists; what other lists mark goes with each of them.

    Returns:
        For each value, in their order: `eps`, `removed_rows`, and `removed_bytes_estimate`: a
        row is taken to weigh what its file's rows do on average. No keeper is looked for: what
        `--on-lost-keeper keep-one` would spare is among the rows.

    *Cost:* one pass over the rows; one row a file comes back.
    """
    counts = [F.count_if(_goes(eps)).alias(f"eps_{index}") for index, eps in enumerate(eps_values)]
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


def _goes(eps: float) -> Column:
    """Tell a row that a pair's score, or a mark without one, removes."""
    return F.exists(
        "marks", lambda mark: mark["score"].isNull() | (mark["score"] >= F.lit(1.0 - eps))
    )
