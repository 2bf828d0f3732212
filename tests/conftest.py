"""One Spark session for the suite: a classic one, or where SPARK_REMOTE says so one of Connect."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext  # noqa: TID251  # of the server that this process starts
from pyspark.sql import SparkSession

from dedup_lib import DuplicateIds, Report, Settings, run
from dedup_lib.session import conf
from tests.support.spark.home import use_quick_spark
from tests.support.spark.java_names import remember_java_names
from tests.support.spark.settings import (
    AS_SHIPPED,
    INTERPRETED,
    OF_SESSION,
    REMOTE,
    SPARK_SETTINGS,
    iceberg_catalog,
)

TESTS = Path(__file__).parent
# Two workers take whole files: the longest first, so that neither is left with a long one.
LONGEST_FIRST = (
    "integration/since_last_run/test_since_last_run.py",
    "integration/platforms/test_object_store.py",
    "integration/in_place/test_in_place.py",
    "integration/stopped/test_killed_runs.py",
    "integration/publish/test_publish.py",
    "integration/stopped/test_failed_runs.py",
    "integration/stopped/test_killed_executors.py",
    "integration/concurrent/test_concurrent_writers.py",
    "integration/lists/test_removal_lists.py",
    "integration/lists/test_list_forms.py",
    "integration/clone/test_clone.py",
    "integration/platforms/test_connect_server.py",
    "integration/platforms/test_standalone_cluster.py",
    "integration/iceberg/slow/test_since_last_run_output.py",
    "integration/iceberg/slow/test_outputs.py",
    "integration/iceberg/slow/test_since_last_run.py",
    "integration/iceberg/slow/test_kills.py",
    "integration/lists/test_list_kinds.py",
    "integration/operation/test_metrics.py",
    "property/test_laws.py",
    "integration/rewrite/test_formats.py",
    "integration/rewrite/test_memory.py",
    "integration/operation/test_operation.py",
    "integration/dry_run/test_apply_plan.py",
    "integration/lists/test_protect_ids.py",
    "integration/review/test_review.py",
)


use_quick_spark()
remember_java_names()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "classic(why): a test that Spark Connect has nothing for")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if REMOTE else ():
        if (needed := item.get_closest_marker("classic")) is not None:
            item.add_marker(pytest.mark.skip(reason=f"on Spark Connect: {needed.args[0]}"))
    ranks = {TESTS / path: rank for rank, path in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A Spark session with Delta, on two threads."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    warehouse = tmp_path_factory.mktemp("warehouse")
    builder = SparkSession.builder.appName("tests")
    builder = _remote(builder) if REMOTE else builder.master("local[2]")
    catalog = iceberg_catalog(str(tmp_path_factory.mktemp("iceberg")))
    for key, value in (SPARK_SETTINGS | INTERPRETED | OF_SESSION | catalog).items():
        builder = builder.config(key, value)
    builder = builder.config("spark.sql.warehouse.dir", warehouse.as_uri())
    with warnings.catch_warnings():  # Connect also hands the server's own settings to the session
        warnings.filterwarnings("ignore", message="Failed to set")
        session = builder.getOrCreate()
    _quieten(session)
    yield session
    session.stop()


def _remote(builder: SparkSession.Builder) -> SparkSession.Builder:
    """Let the server take a port of its own: another may be at work."""
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    DefaultChannelBuilder.default_port = staticmethod(lambda: port)
    return builder.remote(REMOTE).config("spark.connect.grpc.binding.port", str(port))


def _quieten(session: SparkSession) -> None:
    if not REMOTE:
        session.sparkContext.setLogLevel("ERROR")
    elif (jvm := SparkContext._jvm) is not None:  # the server logs each question that has no answer
        log4j = jvm.org.apache.logging.log4j
        log4j.core.config.Configurator.setRootLevel(log4j.Level.OFF)


@pytest.fixture
def as_shipped(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Generate code, and plan anew while a query runs, as Spark does where rows are many."""
    monkeypatch.setattr(conf, "FEW_ROWS", -1)
    with conf.session_settings(spark, AS_SHIPPED):
        yield


@pytest.fixture
def remove(spark: SparkSession) -> Callable[..., Report]:
    """Run the job in this process: remove(images, lists, output, **settings)."""

    def remove(
        images: Path | str,
        lists: Path | str | Sequence[Path | str],
        output: Path | str | None,
        **settings: Any,
    ) -> Report:
        if isinstance(lists, str | Path):
            lists = [lists]
        if output is not None:
            settings["output"] = str(output)
        return run(
            spark,
            Settings(
                images=str(images),
                duplicate_ids=tuple(DuplicateIds(str(item)) for item in lists),
                **settings,
            ),
        )

    return remove
