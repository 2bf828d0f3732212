"""The command line: flags, exit codes, and `main`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import signal
import sys
import typing
from collections.abc import Sequence
from types import FrameType
from typing import Any, Literal, NoReturn

from dedup_lib.errors import DedupError, SettingsError, suggest
from dedup_lib.methods.summary import summary_of
from dedup_lib.pipeline import run
from dedup_lib.publish import early
from dedup_lib.redaction import secret_values
from dedup_lib.report import Report
from dedup_lib.session.start import start_session
from dedup_lib.settings import DuplicateIds, Settings
from dedup_lib.settings.fields import alternatives, find_types
from dedup_lib.settings.toml_file import load_toml
from dedup_lib.terminal import log_to_stderr, show_progress
from dedup_lib.version import __version__

_GROUPS = ("input", "lists", "output", "safety", "tuning")
_EXIT_CODES = """\
exit codes:
  0  done, or nothing left to do
  1  any other failure: Spark fails, or a store refuses
  2  usage: flags, TOML, impossible combinations, overlapping locations, a run key of another run,
     what the table, store, version or platform can't do, Java or a Python package missing
  3  input: table, list or column missing or unreadable, types, no image rows, ambiguous list,
     input changed during the run, kept plan that does not fit
  4  safety limit: removed fraction, no match, empty list, lost keepers, refused kept plan
  5  output exists, publishing failed, conflict with another writer, disk full, rows differ from
     the plan

stdout holds one line, the report as JSON; logs go to stderr.
"""
_log = logging.getLogger("dedup_lib")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line. On success it returns, because a notebook shows any exit as an error.

    Args:
        argv: The arguments; by default those of the process.

    Raises:
        RunFailedError: The run failed. This ends the process with the exit code of the error.
    """
    report = Report()
    code = run_command(sys.argv[1:] if argv is None else argv, report)
    if code != 0:
        error = report.error or {}
        raise RunFailedError(code, f"{error.get('class')}: {error.get('message')}")


class RunFailedError(SystemExit):
    """A run failed: the process ends with the exit code, and a notebook shows the message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def run_command(argv: Sequence[str], report: Report | None = None) -> int:
    """Run the command line, print the report and return the exit code.

    Args:
        argv: The arguments.
        report: The report to fill in; by default a new one.
    """
    report = Report() if report is None else report
    log_to_stderr("INFO")
    settings = None
    try:
        settings = parse(argv)
        report.describe(settings)
        log_to_stderr(settings.log_level, secret_values(settings.storage_options))
        with contextlib.suppress(ValueError):  # this is not the main thread
            signal.signal(signal.SIGTERM, _stop)
        _run(settings, report)
    except (Exception, KeyboardInterrupt) as error:
        if report.error is None:  # the run itself had not begun
            report.fail(error)
            _save_early_report(report, settings, argv)
        print(report.to_json(), flush=True)
        return _tell_failure(error)
    print(report.to_json(), flush=True)
    _log.info("%s", summary_of(report, settings))
    return 0


def _run(settings: Settings, report: Report) -> None:
    early.look(settings)
    spark = start_session()
    with show_progress(spark, report.progress):
        run(spark, settings, report=report)


def parse(argv: Sequence[str]) -> Settings:
    """Turn flags and the TOML file of --config into settings. Flags win over TOML.

    Raises:
        UsageError: A flag or key is unknown or missing, or its value has a wrong type.
        SystemExit: The arguments ask for --help or --version.
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
    """An argument parser that raises an error, so that each failure gives a report."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See --help.")

    def parse_args(self, argv: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]  # one use
        values, unknown = self.parse_known_args(argv)
        if unknown:
            raise SettingsError(f"{self._describe(unknown)} See --help.")
        return values

    def _describe(self, unknown: Sequence[str]) -> str:
        """Name only words that look like flags: other words may be parts of a secret."""
        flags = [text.partition("=")[0] for text in unknown if text.startswith("--")]
        if not flags:
            return (
                f"unrecognized arguments: {len(unknown)} that belong to no flag (not shown, "
                "because they may hold a secret). Put quotes around values with blanks."
            )
        known = [option for action in self._actions for option in action.option_strings]
        return f"unrecognized arguments: {', '.join(flags)}.{suggest(flags[0], known)}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="remove-duplicates",
        usage="%(prog)s --images LOCATION --duplicate-ids LOCATION --output LOCATION [flags]",
        description="Remove the rows that removal lists name from an image table.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    groups = {name: parser.add_argument_group(name) for name in _GROUPS}
    types = find_types(Settings)
    fields = dataclasses.fields(Settings)
    for item in sorted(fields, key=lambda item: _GROUPS.index(item.metadata["group"])):
        flag = "--" + item.name.replace("_", "-")
        options = _argument(item, types[item.name])
        groups[item.metadata["group"]].add_argument(flag, **options)
    other = parser.add_argument_group("other")
    other.add_argument(
        "--config",
        metavar="FILE.toml",
        help="the same settings as TOML keys, with underscores; flags win over them",
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


def _tell_failure(error: BaseException) -> int:
    """Log an error, as the last that a run says, and return its exit code."""
    if isinstance(error, DedupError):
        _log.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    _log.error("%s: %s", type(error).__name__, error, exc_info=error)
    return 1


def _save_early_report(report: Report, settings: Settings | None, argv: Sequence[str]) -> None:
    """Write the report of a run that failed before it began, if --report is readable."""
    try:
        if settings is not None:
            early.save_report(settings, report)
        elif (location := _find_report(argv)) is not None:
            report.save(location, None)
    except (argparse.ArgumentError, DedupError, SystemExit) as error:
        _log.error("the report could not be written: %s", error)


def _find_report(argv: Sequence[str]) -> str | None:
    """Return the value of --report among arguments with a mistake in them."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--report")
    location: str | None = finder.parse_known_args(argv)[0].report
    return location


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(f"stopped by signal {signum}")
