"""A Spark session with the RAPIDS Accelerator, in its explain-only mode: it needs no GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.conftest import SPARK_SETTINGS
from tests.processes import ROOT, properties
from tests.rapids_jar import rapids_jar

EXPLAIN_ONLY = {
    "spark.rapids.sql.mode": "explainOnly",
    # Loading the accelerator takes so long that executors would be given up.
    "spark.executor.heartbeatInterval": "60s",
    "spark.network.timeout": "300s",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of all tests here, with the settings of conf/spark/gpu-local.conf."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    jar = rapids_jar()
    builder = SparkSession.builder.master("local[2]").appName("gpu plans")
    warehouse = tmp_path_factory.mktemp("warehouse").as_uri()
    given = properties(ROOT / "conf/spark/gpu-local.conf")
    settings = {**given, **SPARK_SETTINGS, **EXPLAIN_ONLY, "spark.jars": jar.as_uri()}
    for key, value in {**settings, "spark.sql.warehouse.dir": warehouse}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
