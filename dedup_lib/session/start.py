"""Find or start a Spark session for the command line; no other module starts one."""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import shutil
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pyspark
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dedup_lib.errors import JavaMissingError
from dedup_lib.redaction import SPARK_PATTERN
from dedup_lib.session.failures import java_did_not_start

_NAME = "remove-duplicates"
_LOCAL_SETTINGS = {  # for spark-submit they are in conf/spark/local.conf
    "spark.log.level": "WARN",
    "spark.python.sql.dataFrameDebugging.enabled": "false",  # it would ask Java for each column
    "spark.redaction.regex": "(?i)secret|password|passwd|token|credential|signature|"
    "account[._-]?key|access[._-]?key|api[._-]?key|storage-option|[?&]sig=|"
    r"://[^/\s@]*:[^/\s@]*@",
    "spark.redaction.string.regex": SPARK_PATTERN,
    "spark.speculation": "false",
    "spark.ui.showConsoleProgress": "false",  # the bar would also appear in log files
}
# Set unless there is a folder of the user's own settings.
_JAVA_SETTINGS = {
    "spark.driver.memory": "2g",
    # Short runs are over before code is worth compiling twice.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
    "-XX:MetaspaceSize=256m",
}
_DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
EXTENSIONS = "spark.sql.extensions"
ICEBERG_EXTENSION = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
# A line of spark-defaults.conf.
_SETTING = re.compile(r"\s*(spark\.[^\s=:]+)[\s=:]+(.*?)\s*")
# Where Hadoop's configuration is; and settings that are one, or add jars.
_CONFIGURES_HADOOP = {
    *("HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME", "SPARK_DIST_CLASSPATH"),
    *("SPARK_API_MODE", "SPARK_CONNECT_MODE", "DATABRICKS_RUNTIME_VERSION"),
}
_UNCERTAIN = (
    *("spark.hadoop.", "spark.jars", "spark.driver.extraClassPath"),
    *("spark.remote", "spark.api.mode"),
)
_JAVA_OPTIONS = ("SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
# `make setup` puts a Spark there that starts sooner.
_QUICK_HOME = Path(sys.prefix) / "quick-spark"
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
    # Another Python needs the zip files of Spark's own home.
    if _QUICK_HOME.exists() and not {"PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"} & os.environ.keys():
        os.environ.setdefault("SPARK_HOME", str(_QUICK_HOME))
    # Otherwise Spark's workers would run the first python3 on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = _LOCAL_SETTINGS | ({} if _settings_folder().exists() else _JAVA_SETTINGS)
    return _start(_beside_own(settings | _table_settings()))


def _spark_home() -> str:
    return os.environ.get("SPARK_HOME") or str(Path(pyspark.__file__).parent)


def _settings_folder() -> Path:
    return Path(os.environ.get("SPARK_CONF_DIR", f"{_spark_home()}/conf"))


def is_surely_local() -> bool:
    """Tell, before there is a session, whether it is certain that it will be one on this machine.

    Then a path without a scheme is a file of this machine. A configuration of Hadoop can make it a
    file elsewhere, and any jar can hold one: both make this uncertain.
    """
    environ = os.environ
    # In another thread nobody knows whether there is a session: the active one is that of a thread.
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or SparkSession.getActiveSession() is not None:
        return False
    if _CONFIGURES_HADOOP & environ.keys():
        return False
    if environ.get("SPARK_REMOTE") or _settings_folder().exists():
        return False
    settings = _submitted_settings() if is_under_spark_submit() else _settings_of_arguments()
    if settings is None or not settings.get("spark.master", "local").startswith("local"):
        return False
    options = [environ.get(name, "") for name in _JAVA_OPTIONS]
    options.append(settings.get("spark.driver.extraJavaOptions", ""))
    is_set_in_java = any("-Dspark." in text for text in options)
    return not is_set_in_java and not any(key.startswith(_UNCERTAIN) for key in settings)


def _submitted_settings() -> dict[str, str]:
    """Return the settings that spark-submit gathered."""
    found: str = java_of_spark_submit().SparkConf().toDebugString()
    return dict(line.partition("=")[::2] for line in found.splitlines())


def java_of_spark_submit() -> Any:
    """Return py4j's view of the Java process that started this one."""
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415  # the client for Connect has no py4j

    gateway: Any = launch_gateway()  # type: ignore[no-untyped-call]  # pyspark has no type
    return gateway.jvm


def _settings_of_arguments() -> dict[str, str] | None:
    """Return the settings in the arguments for spark-submit; None if they may hold others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--master")
    parser.add_argument("--conf", action="append", default=[])
    arguments = shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", "pyspark-shell"))
    try:
        known, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None
    if others != ["pyspark-shell"]:
        return None
    settings = dict(item.partition("=")[::2] for item in known.conf)
    return settings if known.master is None else settings | {"spark.master": known.master}


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


def _table_settings() -> dict[str, str]:
    """Return the settings of the table formats whose jars Spark has."""
    settings = _DELTA_SETTINGS if _has_jar("*delta-spark_*") else {}
    if not _has_jar("iceberg-spark-runtime-*"):
        return settings
    extensions = [settings.get(EXTENSIONS), ICEBERG_EXTENSION]
    return settings | {EXTENSIONS: ",".join(filter(None, extensions))}


def _has_jar(pattern: str) -> bool:
    return any(Path(_spark_home(), "jars").glob(f"{pattern}.jar"))


def _beside_own(settings: dict[str, str]) -> dict[str, str]:
    """Leave out the settings that the user set; extensions stand beside the user's."""
    own = _own_settings()
    extensions = [*own.get(EXTENSIONS, "").split(","), *settings.get(EXTENSIONS, "").split(",")]
    joined = ",".join(filter(None, dict.fromkeys(extensions)))
    missing = {key: value for key, value in settings.items() if key not in own}
    return missing | ({EXTENSIONS: joined} if joined else {})


def _own_settings() -> dict[str, str]:
    """Return the settings that Spark takes from the user, as texts."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--conf", "-c", action="append", default=[])
    parser.add_argument("--properties-file", default=_settings_folder() / "spark-defaults.conf")
    arguments = shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", ""))
    try:
        known, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:  # Spark will say what is wrong with them
        return {}
    file = Path(known.properties_file)
    lines = file.read_text().splitlines() if file.is_file() else []
    in_file = {match[1]: match[2] for line in lines if (match := _SETTING.fullmatch(line))}
    return in_file | dict(item.partition("=")[::2] for item in known.conf)
