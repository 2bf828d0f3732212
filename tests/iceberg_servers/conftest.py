"""A Spark session with Iceberg's client of S3, and nothing by which Hadoop would know S3."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from dedup_lib.session.conf import session_settings
from tests.support.jars.iceberg_rest_jars import AWS_BUNDLE, why_no_jars
from tests.support.servers.rest_catalog import running_catalog
from tests.support.spark.settings import INTERPRETED, SPARK_SETTINGS
from tests.support.tables.iceberg import rows
from tests.support.tables.made import write_list

_NUMBERS = itertools.count()
SCHEMA = "(image_id STRING, image BINARY, shard INT)"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of all tests here."""
    if (reason := why_no_jars()) is not None:
        pytest.fail(f"Iceberg's jars can't be had: {reason}")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("iceberg on servers")
    settings = {**SPARK_SETTINGS, **INTERPRETED, "spark.driver.extraClassPath": str(AWS_BUNDLE)}
    settings["spark.sql.warehouse.dir"] = tmp_path_factory.mktemp("warehouse").as_uri()
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def listed(tmp_path):
    """A list of two images of the tables, and of one that is not there."""
    return write_list(tmp_path / "list", ["i3", "i17", "unknown"])


@pytest.fixture
def on_disk(tmp_path_factory):
    """A REST catalog whose tables are on this machine's disk."""
    folder = tmp_path_factory.mktemp("rest")
    with running_catalog(folder, (folder / "warehouse").as_uri()) as server:
        yield server


@pytest.fixture
def in_session(spark):
    """Enter a server into the session as a catalog: in_session(server), which gives its name."""
    catalogs = {}

    def in_session(server):
        name = f"rest{next(_NUMBERS)}"
        catalogs[name] = session_settings(spark, server.settings(name))
        catalogs[name].__enter__()
        return name

    yield in_session
    for entered in catalogs.values():
        entered.__exit__(None, None, None)


@pytest.fixture
def table(spark, in_session):
    """Make a table of 40 images in two files: table(server), which gives its name."""

    def table(server, version=3):
        catalog = in_session(server)
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {catalog}.db")
        name = f"{catalog}.db.images"
        properties = f"'format-version' = '{version}', 'write.delete.mode' = 'merge-on-read'"
        spark.sql(f"CREATE TABLE {name} {SCHEMA} USING iceberg TBLPROPERTIES ({properties})")
        rows(spark, 40).writeTo(name).append()
        return name

    return table
