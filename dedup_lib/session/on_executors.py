"""Run Python functions on executors, which get them by value and do not need this library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark import cloudpickle
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from dedup_lib import executor
from dedup_lib.executor import worker

# All modules of the package are sent together with a function.
cloudpickle.register_pickle_by_value(executor)  # type: ignore[no-untyped-call]  # it has no types


def on_executors(function: Callable[..., Any], returns: DataType | str) -> Callable[..., Column]:
    """Return a function of columns that calls a function of `executor` for each row.

    Args:
        function: Its arguments are Python values; a struct is a row.
        returns: The type of what the function returns.
    """
    # Without Arrow: with it the driver would need pandas.
    return F.udf(
        lambda *values: worker.run(function, *values), returns, useArrow=False
    ).asNondeterministic()
