"""Ask the RAPIDS Accelerator which parts a GPU can run, and ask Spark which parts ran on a GPU.

Only the driver's JVM can answer, so neither question works over Spark Connect.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pyspark.sql import DataFrame, SparkSession

from dedup_lib.errors import UnsupportedError
from dedup_lib.methods.gpu import ENABLED
from dedup_lib.session.conf import session_settings
from dedup_lib.session.failures import SPARK_ERRORS
from dedup_lib.session.spark_session import is_connect, job_description

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
# Lines on parts that can't run, and on parts that a GPU operator passes to the CPU row by row.
_FALLS_BACK = re.compile(
    r"[!^]\w* <(?P<operator>[\w.]+)>.*?"
    r"(?:cannot run on GPU|will run on GPU via CPU bridge) because (?P<reason>.*)"
)
_NUMBERS_OF_COLUMNS = re.compile(r"#\d+L?")
_WILL_RUN = "will run on GPU"
# Nodes that only contain other nodes and do no work of their own.
_WRAPPERS = ("AdaptiveSparkPlan", "WholeStageCodegen", "InputAdapter", "ReusedExchange")


@dataclass(frozen=True)
class Fallback:
    """An operator or expression that a GPU would not run, and the accelerator's reason."""

    operator: str
    reason: str


@dataclass(frozen=True)
class Output:
    """How a frame would be written, which decides whether a GPU can write it."""

    format: str
    location: str
    options: Mapping[str, str]
    partition_columns: Sequence[str]


def fallbacks(frame: DataFrame, output: Output) -> list[Fallback]:
    """Ask the accelerator which parts of reading and writing a frame it would leave to the CPU.

    Args:
        frame: The rows. They are not evaluated.
        output: How the rows would be written. Nothing is written.

    Returns:
        One entry per operator and reason; no entry if a GPU runs everything.

    Raises:
        UnsupportedError: The accelerator can't be asked.

    *Cost:* planning the query twice. For a write to Delta the accelerator's text leaves out the
    query, so the query is explained separately.
    """
    texts = explanations(frame, output)
    return list(dict.fromkeys(found for text in texts for found in parsed(text)))


def check_can_be_asked(spark: SparkSession) -> None:
    """Check that a session can call the accelerator.

    Raises:
        UnsupportedError: The session uses Spark Connect.
    """
    if is_connect(spark):
        raise UnsupportedError(
            "over Spark Connect the RAPIDS Accelerator can't say what it would run: for "
            "--require-gpu use spark-submit."
        )


def explanations(frame: DataFrame, output: Output) -> tuple[str, str]:
    """Return the accelerator's explanations of reading a frame and of writing it."""
    check_can_be_asked(frame.sparkSession)
    try:
        # The accelerator can't explain a query that is already planned for a GPU.
        with session_settings(frame.sparkSession, {ENABLED: "false"}):
            return _explained(frame, frame._jdf), _explained(frame, _write(frame, output))
    except (*SPARK_ERRORS, TypeError) as error:  # a missing class raises TypeError
        raise UnsupportedError(
            f"the RAPIDS Accelerator can't say what it would run: {error}"
        ) from error


def parsed(text: str) -> list[Fallback]:
    """Read the accelerator's explanation of a plan."""
    found = []
    for line in map(str.strip, text.splitlines()):
        if (match := _FALLS_BACK.match(line)) is not None:
            reason = _NUMBERS_OF_COLUMNS.sub("", match["reason"])
            found.append(Fallback(match["operator"], reason))
        elif line and line[0] not in "*#@":
            found.append(Fallback("all", line))
    if not found and _WILL_RUN not in text:
        found.append(Fallback("all", "the RAPIDS Accelerator said nothing about this plan"))
    return found


def _explained(frame: DataFrame, dataset: Any) -> str:
    explain = _jvm(frame).com.nvidia.spark.rapids.ExplainPlan
    return str(explain.explainPotentialGpuPlan(dataset, "ALL"))


def _write(frame: DataFrame, output: Output) -> Any:
    """Return the command that a DataFrameWriter would run, as a Dataset that does not run it."""
    sql, scala = _jvm(frame).org.apache.spark.sql, _jvm(frame).scala
    as_scala = _jvm(frame).org.apache.spark.api.python.PythonUtils
    nothing = scala.Option.empty()
    source = sql.execution.datasources.DataSource(
        frame.sparkSession._jsparkSession,
        output.format,
        as_scala.toSeq([]),
        nothing,
        as_scala.toSeq(list(output.partition_columns)),
        nothing,
        as_scala.toScalaMap({"path": output.location, **output.options}),
        nothing,
    )
    command = source.planForWriting(sql.SaveMode.ErrorIfExists, frame._jdf.logicalPlan())
    state = frame.sparkSession._jsparkSession.sessionState()
    planned = state.executePlan(command, sql.execution.CommandExecutionMode.SKIP())
    encoder = sql.Encoders.row(planned.analyzed().schema())
    return sql.classic.Dataset(planned, encoder)


def _jvm(frame: DataFrame) -> Any:
    return frame.sparkSession._jvm


def newest_query(spark: SparkSession) -> int | None:
    """Return the number of the application's newest query; -1 if there is no query yet.

    None if Spark does not reveal it.
    """
    return _if_available(
        lambda: max((query.executionId() for query in _queries(spark)), default=-1)
    )


def operators_since(spark: SparkSession, newest: int) -> list[str] | None:
    """Return the names of the operators that ran, each once, in the order of Spark's plans.

    None if Spark does not reveal them: this must not fail a query that has run.

    Args:
        spark: The session.
        newest: The number of the last query to skip. A later query counts if it has the session's
            current job description. Other queries belong to other users of the application. (A
            query of another run at the same step also counts.)
    """
    names = _if_available(lambda: list(_operators(spark, newest)))
    if names is None:
        return None
    return [name for name in dict.fromkeys(names) if not name.startswith(_WRAPPERS)]


def _operators(spark: SparkSession, newest: int) -> Iterator[str]:
    description = job_description(spark)
    store = spark._jsparkSession.sharedState().statusStore()
    for query in _queries(spark):
        if query.executionId() > newest and query.description() == description:
            nodes = store.planGraph(query.executionId()).allNodes()
            yield from (nodes.apply(index).name().strip() for index in range(nodes.size()))


def _if_available(ask: Callable[[], _T]) -> _T | None:
    """Return the answer, or None if Spark refuses; only the report needs it, so the run goes on."""
    try:
        return ask()
    except (*SPARK_ERRORS, TypeError) as error:
        _log.warning("Spark does not reveal which parts ran on the GPU: %s", error)
        return None


def is_on_gpu(operator: str) -> bool:
    """Tell from an operator's name whether it ran on a GPU."""
    return "Gpu" in operator


def _queries(spark: SparkSession) -> list[Any]:
    spark._jsparkSession.sparkContext().listenerBus().waitUntilEmpty()
    found = spark._jsparkSession.sharedState().statusStore().executionsList()
    queries = (found.apply(index) for index in range(found.size()))
    return sorted(queries, key=lambda query: query.executionId())
