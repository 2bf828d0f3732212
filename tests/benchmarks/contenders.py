"""Who is timed: the peers, and this job by its engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

THREADS = 2


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: As printed.
        peer: Module in `peers` that does it.
        heap: Java's heap, for peers that run Java.
        options: Sent with each request.
        session: Contenders of one peer with the same word here share a process; None: its own.
        environment: Whose Python runs it.
        makes: What its output is: a table, a Delta clone that shares files, or so many bytes.
    """

    name: str
    peer: str
    heap: str = "4g"
    options: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    environment: Literal["bench", "curator"] = "bench"
    makes: Literal["table", "clone", "bytes"] = "table"


def this_job(
    name: str, *, heap: str = "4g", session: str | None = None, **settings: Any
) -> Contender:
    """Return this job with some settings."""
    makes: Literal["table", "clone"] = "clone" if settings.get("method") == "clone" else "table"
    name = f"this job, {name}"
    return Contender(name, "this_job", heap=heap, options=settings, session=session, makes=makes)


SPARK = Contender("plain Spark", "spark_left_anti")
SPARK_BROADCAST = Contender(
    "plain Spark, broadcast", "spark_left_anti", options={"broadcast": True}
)
DUCKDB = Contender("DuckDB", "duckdb_anti_join")
POLARS = Contender("Polars", "polars_anti_join")
PYARROW_SET = Contender("pyarrow and a set", "pyarrow_set")
COPY = Contender("plain copy", "plain_copy", makes="bytes")
CURATOR = Contender("Curator's stage", "curator_stage", environment="curator")
JOB_SPARK = this_job("spark engine", engine="spark")
JOB_ARROW = this_job("arrow engine", engine="arrow")
