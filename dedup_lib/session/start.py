"""Find or start a Spark session for the command line; no other module starts one."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

import pyspark
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib.errors import JavaMissingError
from dedup_lib.redaction import SPARK_PATTERN
from dedup_lib.session.failures import java_did_not_start

_NAME = "remove-duplicates"
_LOCAL_SETTINGS = {  # for spark-submit they are in conf/spark
    "spark.redaction.string.regex": SPARK_PATTERN,
    "spark.ui.showConsoleProgress": "false",  # the bar would also appear in log files
}
_DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
_log = logging.getLogger(__name__)


def start_session() -> SparkSession:
    """Return the session that exists (spark-submit, a notebook), or start a local one.

    Raises:
        JavaMissingError: A local session needs Java, and no working Java was found.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:  # its session exists and is set up
        return SparkSession.builder.getOrCreate()
    remote = os.environ.get("SPARK_REMOTE", "")
    if remote.startswith("sc:"):  # the server has its own settings
        _log.info("connecting to %s, by SPARK_REMOTE", remote.partition(";")[0])
        return SparkSession.builder.appName(_NAME).getOrCreate()
    if is_under_spark_submit():
        return _start({})
    if not remote:
        _check_java()
    # Otherwise Spark's workers would run the first python3 on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return _start(_LOCAL_SETTINGS | (_DELTA_SETTINGS if _has_delta_jars() else {}))


def is_under_spark_submit() -> bool:
    """Tell whether spark-submit started this process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _start(settings: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder.appName(_NAME)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with warnings.catch_warnings():  # a local Connect server gets its settings twice
            warnings.filterwarnings("ignore", message="Failed to set")
            return builder.getOrCreate()
    except PySparkException as error:
        if java_did_not_start(error):
            raise JavaMissingError(
                "Spark's Java process did not start: Java 17 or newer is needed (Java's "
                "message is above)."
            ) from error
        raise


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH, and JAVA_HOME is not set"
        raise JavaMissingError(f"Spark needs Java 17 or newer; no Java was found {where}.")


def _has_delta_jars() -> bool:
    home = os.environ.get("SPARK_HOME") or str(Path(pyspark.__file__).parent)
    return any(Path(home, "jars").glob("*delta-spark_*.jar"))
