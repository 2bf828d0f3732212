"""The command line: flags, logging, exit codes; the only place that looks up a Spark session."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import shutil
import signal
import sys
import typing
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

import pyspark
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from dedup_lib.errors import DedupError, JavaMissingError, SettingsError, nearest
from dedup_lib.pipeline import run
from dedup_lib.progress import Stream, Terminal, shown
from dedup_lib.redaction import SPARK_PATTERN, one_record, redact, secret_values
from dedup_lib.report import Report
from dedup_lib.session.failures import java_did_not_start
from dedup_lib.session.spark_session import count_tasks
from dedup_lib.settings import DuplicateIds, Settings
from dedup_lib.settings.toml_file import load_toml
from dedup_lib.settings.types import alternatives
from dedup_lib.version import __version__

_GROUPS = ("input", "output", "safety", "tuning")
_EXIT_CODES = """\
exit codes:
  0  done, or nothing left to do
  1  anything else
  2  usage: flags, TOML, impossible combinations, overlapping places, Java missing
  3  input: table, list or column missing or unreadable, types, no image rows
  4  safety limit: removed fraction, no match, an empty list, lost keepers
  5  output exists, publishing failed, conflict with another writer

stdout holds one line, the report as JSON; logs go to stderr.
"""
# They write each failed query to stderr, secrets and all; what matters of it is in our own log.
_LOGGERS_OF_PYSPARK = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_log = logging.getLogger("dedup_lib")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; nothing is raised on success, for notebooks take any exit for an error.

    Args:
        argv: The arguments; default those of the process.

    Raises:
        RunFailedError: Whatever went wrong; it ends a process with the error's exit code.
    """
    report = Report()
    code = run_command(sys.argv[1:] if argv is None else argv, report)
    if code != 0:
        error = report.error or {}
        raise RunFailedError(code, f"{error.get('class')}: {error.get('message')}")


class RunFailedError(SystemExit):
    """The end of a run that failed: a process exits with the code, a notebook shows the message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def run_command(argv: Sequence[str], report: Report | None = None) -> int:
    """Run the command line and return its exit code; the report is filled in, and printed."""
    report = Report() if report is None else report
    _log_to_stderr("INFO")
    try:
        settings = parse(argv)
        report.describe(settings)
        _log_to_stderr(settings.log_level, secret_values(settings.storage_options))
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, _stop)
        _run(settings, report)
        code = 0
    except (Exception, KeyboardInterrupt) as error:
        code = _failed(error, report, argv)
    print(report.to_json(), flush=True)
    return code


def _run(settings: Settings, report: Report) -> None:
    spark = _session()
    with contextlib.ExitStack() as showing:
        for handler in _log.handlers:
            if isinstance(terminal := getattr(handler, "stream", None), Terminal):
                tasks = showing.enter_context(count_tasks(spark))
                showing.enter_context(shown(terminal, report, tasks))
        run(spark, settings, report=report)


def parse(argv: Sequence[str]) -> Settings:
    """Turn flags, and the TOML file that --config names, into settings; flags win.

    Raises:
        UsageError: A flag or key is unknown, ill-typed or missing.
        SystemExit: --help or --version was asked for.
    """
    flags = vars(_parser().parse_args(argv))
    config = flags.pop("config", None)
    values = {} if config is None else load_toml(config)
    if "duplicate_ids" in flags:
        flags["duplicate_ids"] = tuple(DuplicateIds(item) for item in flags["duplicate_ids"])
    for name in {"protect_ids", "storage_option"} & flags.keys():
        flags[name] = tuple(flags[name])
    return Settings(**{"images": None, **values, **flags})


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises, so that every failure ends in a report."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See --help.")

    def parse_args(self, argv: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]  # one use
        values, unknown = self.parse_known_args(argv)
        if unknown:
            raise SettingsError(f"{self._described(unknown)} See --help.")
        return values

    def _described(self, unknown: Sequence[str]) -> str:
        """Name what are flags by their looks; the rest may be a secret, or a part of one."""
        flags = [text.partition("=")[0] for text in unknown if text.startswith("--")]
        if not flags:
            return (
                f"unrecognized arguments: {len(unknown)} that belong to no flag (not shown, since "
                "a secret may be among them). Put quotes around values with blanks."
            )
        known = [option for action in self._actions for option in action.option_strings]
        return f"unrecognized arguments: {', '.join(flags)}.{nearest(flags[0], known)}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="remove-duplicates",
        usage="%(prog)s --images LOCATION --duplicate-ids LOCATION --output LOCATION [flags]",
        description="Take the rows of a removal list out of an image table.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    groups = {name: parser.add_argument_group(name) for name in _GROUPS}
    hints = typing.get_type_hints(Settings)
    for item in dataclasses.fields(Settings):
        flag = "--" + item.name.replace("_", "-")
        options = _argument(item, hints[item.name])
        groups[item.metadata["group"]].add_argument(flag, **options)
    other = parser.add_argument_group("other")
    other.add_argument(
        "--config",
        metavar="FILE.toml",
        help="the same settings as TOML keys, with underscores; flags win",
    )
    version = f"remove-duplicates {__version__}"
    other.add_argument("--version", action="version", version=version, help="print the version")
    other.add_argument("--help", "-h", action="help", help="print this help")
    return parser


def _argument(item: dataclasses.Field[Any], hint: Any) -> dict[str, Any]:
    text = item.metadata["help"].replace("%", "%%")
    if item.default not in (None, (), False):
        text += f" (default: {item.default})"
    if hint is bool:
        return {"action": "store_true", "help": text}
    if typing.get_origin(hint) is tuple:
        metavar = item.metadata["metavar"] or "LOCATION"
        return {"action": "append", "metavar": metavar, "help": text}
    kind = alternatives(hint)[0]
    if typing.get_origin(kind) is Literal:
        return {"choices": typing.get_args(kind), "help": text}
    return {"type": kind, "metavar": item.metadata["metavar"] or _metavar(item.name), "help": text}


def _metavar(name: str) -> str:
    return "COLUMN" if name.endswith("column") else "LOCATION"


def _session() -> SparkSession:
    """Take the session that there is (spark-submit, a notebook), or start a local one."""
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:  # its session is there, set up as it must be
        return SparkSession.builder.getOrCreate()
    remote = os.environ.get("SPARK_REMOTE", "")
    if remote.startswith("sc:"):  # whose server has its own settings
        _log.info("connecting to %s, by SPARK_REMOTE", remote.partition(";")[0])
        return SparkSession.builder.appName("remove-duplicates").getOrCreate()
    if not remote and not _is_under_spark_submit():
        _check_java()
    if not _is_under_spark_submit():  # Spark's workers would run the first python3 of the PATH
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("remove-duplicates")
    if not _is_under_spark_submit():  # else conf/spark has it
        builder = builder.config("spark.redaction.string.regex", SPARK_PATTERN)
        # Spark would show its own progress, in logs as well as in terminals.
        builder = builder.config("spark.ui.showConsoleProgress", "false")
    if _has_delta_jars() and not _is_under_spark_submit():
        builder = builder.config(
            "spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"
        ).config(
            "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
    try:
        with warnings.catch_warnings():  # a server of our own is given its settings twice
            warnings.filterwarnings("ignore", message="Failed to set")
            return builder.getOrCreate()
    except PySparkException as error:
        if java_did_not_start(error):
            raise JavaMissingError(
                "Spark's Java process did not start: Java 17 or newer is needed (its own "
                "message is above)."
            ) from error
        raise


def _is_under_spark_submit() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH, and JAVA_HOME is not set"
        raise JavaMissingError(f"Spark needs Java 17 or newer; there is none {where}.")


def _has_delta_jars() -> bool:
    home = os.environ.get("SPARK_HOME") or str(Path(pyspark.__file__).parent)
    return any(Path(home, "jars").glob("*delta-spark_*.jar"))


def _failed(error: BaseException, report: Report, argv: Sequence[str]) -> int:
    if report.error is None:
        report.fail(error)
        _save_beside(report, argv)
    if isinstance(error, DedupError):
        _log.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    _log.error("%s: %s", type(error).__name__, error, exc_info=error)
    return 1


def _save_beside(report: Report, argv: Sequence[str]) -> None:
    """Write the report of a run that failed before it began, where --report can be made out."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--report")
    try:
        location = finder.parse_known_args(argv)[0].report
        if location is not None:
            report.save(location, None)
    except (argparse.ArgumentError, DedupError, SystemExit) as error:
        _log.error("the report could not be written: %s", error)


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(f"stopped by signal {signum}")


class _RedactingFormatter(logging.Formatter):
    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return one_record(redact(super().format(record), self._secrets))


def _stderr() -> Terminal | Stream:
    """Return where logs go, which may be a terminal."""
    if not _is_under_spark_submit():
        return Terminal(sys.stderr) if sys.stderr.isatty() else sys.stderr
    from dedup_lib.jvm_stderr import JvmStderr  # noqa: PLC0415  # there is a JVM only there

    stream = JvmStderr()
    return Terminal(stream) if stream.isatty() else stream


def _log_to_stderr(level: str, secrets: Sequence[str] = ()) -> None:
    if not _log.handlers:
        _log.addHandler(logging.StreamHandler(_stderr()))
        _log.propagate = False
    for name in _LOGGERS_OF_PYSPARK:
        PySparkLogger.getLogger(name).disabled = True
    for handler in _log.handlers:
        handler.setFormatter(_RedactingFormatter(secrets))
    _log.setLevel(level)
