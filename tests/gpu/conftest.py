"""A Spark session with the RAPIDS Accelerator, in its explain-only mode: it needs no GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
from pyspark.sql import SparkSession

from dedup_lib.methods.gpu_plans import Fallback
from tests.support.jars.rapids_jar import rapids_jar
from tests.support.paths import ROOT
from tests.support.processes.runs import properties
from tests.support.spark.settings import SPARK_SETTINGS, iceberg_catalog

EXPLAIN_ONLY = {
    "spark.rapids.sql.mode": "explainOnly",
    # Loading the accelerator takes so long that executors would be given up.
    "spark.executor.heartbeatInterval": "60s",
    "spark.network.timeout": "300s",
}


# What was seen to fall back: operator and reason, each once.
_SEEN: dict[tuple[str, str], None] = {}


@pytest.fixture
def seen() -> Callable[[Sequence[Fallback]], dict[str, str]]:
    """Note what falls back, for the summary; return the reasons by operator."""

    def note(found: Sequence[Fallback]) -> dict[str, str]:
        _SEEN.update({(item.operator, item.reason): None for item in found})
        return {item.operator: item.reason for item in found}

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what the accelerator leaves to the CPU, and why, in its own words."""
    if _SEEN:
        terminalreporter.section("what the RAPIDS Accelerator leaves to the CPU")
    for operator, reason in _SEEN:
        terminalreporter.write_line(f"{operator}: {reason}")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of all tests here, with the settings of conf/spark/gpu-local.conf."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    jar = rapids_jar()
    builder = SparkSession.builder.master("local[2]").appName("gpu plans")
    warehouse = tmp_path_factory.mktemp("warehouse").as_uri()
    given = properties(ROOT / "conf/spark/gpu-local.conf")
    # Beside Iceberg: of two class loaders, RAPIDS may not look into the classes of Iceberg.
    settings = {**given, **SPARK_SETTINGS, **EXPLAIN_ONLY, "spark.driver.extraClassPath": str(jar)}
    settings |= iceberg_catalog(str(tmp_path_factory.mktemp("iceberg")))
    for key, value in {**settings, "spark.sql.warehouse.dir": warehouse}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
