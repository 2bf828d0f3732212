"""Python functions that executors run; these need not have this library: it is sent along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark import cloudpickle
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from dedup_lib import executor
from dedup_lib.executor import worker

cloudpickle.register_pickle_by_value(executor)  # type: ignore[no-untyped-call]  # and all below it


def on_executors(function: Callable[..., Any], returns: DataType | str) -> Callable[..., Column]:
    """Return a function of columns that calls a function of one of these modules for each row.

    Args:
        function: Of values as Python has them; a struct comes as a row.
        returns: The type of what it returns.
    """
    # Pickled rows: Arrow's would need pandas on the driver.
    return F.udf(
        lambda *values: worker.run(function, *values), returns, useArrow=False
    ).asNondeterministic()


def reason_of(failure: Exception) -> str:
    """Return the line that says why a job with such a function failed."""
    lines = str(failure).strip().partition("\nJVM stacktrace:")[0].splitlines()
    of_java = (line.removeprefix(": ") for line in lines if line.startswith((": ", "Job aborted")))
    return next(of_java, lines[-1] if lines else type(failure).__name__)
