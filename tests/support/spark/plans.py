"""The plan of a query as Spark tells it, classic or Connect."""

import contextlib
import io

from pyspark.sql import DataFrame


def physical_plan(frame: DataFrame) -> str:
    """The physical plan, as text."""
    return _explained(frame, extended=False)


def optimized_plan(frame: DataFrame) -> str:
    """The optimized logical plan, as text."""
    _, _, rest = _explained(frame, extended=True).partition("== Optimized Logical Plan ==")
    return rest.partition("== Physical Plan ==")[0]


def _explained(frame: DataFrame, *, extended: bool) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        frame.explain(extended=extended)
    return printed.getvalue()
