"""Find the columns of a list in which values repeat; in long lists by a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dedup_lib.session.sql_names import quoted

# Lists of at least twice so many rows are looked through by a sample.
SAMPLED_ROWS = 1_000_000
# The sample has at least one of so many values: then of a hundred values that repeat one is nearly
# always seen (99.8 %).
_SMALLEST_SHARE = 16
# A sample is fair if the number of its rows is off by less than so many standard deviations.
_DEVIATIONS = 5


def find_repeating(rows: DataFrame, columns: Sequence[int], num_rows: int) -> list[int]:
    """Find the columns in which a value may be there twice.

    Equal values are in the sample together, or not at all. So it may miss what repeats if fewer
    than about a hundred values do. If these have many rows, the sample has too many or too few
    rows.

    Args:
        rows: One row per entry, with columns called `0`, `1`, … of any type.
        columns: The numbers of the columns.
        num_rows: The number of rows.

    Returns:
        The numbers of these columns, in order. In lists of fewer rows than twice `SAMPLED_ROWS` no
        other column has a value twice, and these do, by their hashes.

    *Nulls:* NULL is no value.
    *Cost:* one pass, with a shuffle of the sample; one more for each column that is NULL in most
    rows of a long list.
    """
    share = min(_SMALLEST_SHARE, 1 << max(0, (num_rows // SAMPLED_ROWS).bit_length() - 1))
    hashed = _hashes(rows, columns)
    sampled = hashed.where(F.col("hash").isNull() | (F.col("hash").bitwiseAND(share - 1) == 0))
    num = F.col("count")
    by_column = (
        sampled.groupBy("column", "hash")
        .count()
        .groupBy("column")
        .agg(
            F.count("hash").alias("values"),
            F.coalesce(F.sum(F.when(F.col("hash").isNotNull(), num)), F.lit(0)).alias("rows"),
            F.coalesce(F.sum(F.when(F.col("hash").isNull(), num)), F.lit(0)).alias("nulls"),
        )
    )
    found = {row["column"]: row for row in by_column.collect()}

    def repeats(column: int) -> bool:
        if column not in found:  # all rows have values that are not in the sample
            return share > 1
        counts = found[column]
        if share == 1 or counts["values"] < counts["rows"]:
            return bool(counts["values"] < counts["rows"])
        if (valued := num_rows - counts["nulls"]) < num_rows // 2:
            values = rows.where(F.col(quoted(str(column))).isNotNull())
            return bool(find_repeating(values, [column], valued))
        expected = valued / share
        return bool(abs(counts["rows"] - expected) > _DEVIATIONS * math.sqrt(expected))

    return [column for column in columns if repeats(column)]


def hash_of(value: Column) -> Column:
    """Return the hash of a text; NULL for NULL."""
    return F.when(value.isNotNull(), F.xxhash64(value))


def _hashes(rows: DataFrame, columns: Sequence[int]) -> DataFrame:
    """Return `column` and `hash`, one row per row and column; the hash of NULL is NULL."""
    named = [
        F.struct(
            F.lit(number).alias("column"),
            hash_of(F.col(quoted(str(number))).cast("string")).alias("hash"),
        )
        for number in columns
    ]
    if len(columns) == 1:  # without an array, it takes half as long
        return rows.select(named[0].alias("of")).select("of.*")
    return rows.select(F.inline(F.array(*named)))
