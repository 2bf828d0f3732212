"""Who is timed: the peers, and this job by its engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

THREADS = 2
Makes = Literal["table", "shards", "clone", "bytes", "plan"]


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: As printed.
        peer: Module in `peers` that does it.
        heap: Java's heap, for peers that run Java.
        java_options: More for Java.
        options: Sent with each request.
        session: Contenders of one peer with the same word here share a process; None: its own.
        environment: Whose Python runs it.
        makes: A table; shards; a Delta clone, which shares files; so many bytes; or only a plan.
    """

    name: str
    peer: str
    heap: str = "4g"
    java_options: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    environment: Literal["bench", "curator", "curator-on-dali"] = "bench"
    makes: Makes = "table"


def this_job(
    name: str,
    *,
    heap: str = "4g",
    java_options: str = "",
    session: str | None = None,
    makes: Makes = "table",
    **settings: Any,
) -> Contender:
    """Return this job with some settings."""
    return Contender(
        f"this job, {name}",
        "this_job",
        heap=heap,
        java_options=java_options,
        options=settings,
        session=session,
        makes=makes,
    )


SPARK = Contender("plain Spark", "spark_left_anti")
SPARK_BROADCAST = Contender(
    "plain Spark, broadcast", "spark_left_anti", options={"broadcast": True}
)
DUCKDB = Contender("DuckDB", "duckdb_anti_join")
POLARS = Contender("Polars", "polars_anti_join")
DUCKDB_PLAN = replace(DUCKDB, name="DuckDB, rows found", makes="plan")
POLARS_PLAN = replace(POLARS, name="Polars, rows found", makes="plan")
PYARROW_SET = Contender("pyarrow and a set", "pyarrow_set")
COPY = Contender("plain copy", "plain_copy", makes="bytes")
CURATOR = Contender("Curator's stage", "curator_stage", environment="curator")
JOB_SPARK = this_job("spark engine", engine="spark")
JOB_ARROW = this_job("arrow engine", engine="arrow")
JOB_SHARDS = this_job("shards", output_format="webdataset", makes="shards")
WEBDATASET = Contender("webdataset in a loop", "webdataset_loop", makes="shards")
CURATOR_SHARDS = Contender(
    "Curator's stages", "curator_shards", environment="curator-on-dali", makes="shards"
)
