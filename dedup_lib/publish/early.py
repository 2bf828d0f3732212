"""What is wrong with paths on this machine, before a Spark session exists: that takes seconds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import cast

from pyspark.sql import SparkSession

from dedup_lib.locations import has_scheme, local_path, sibling
from dedup_lib.publish.overlap import (
    RunLocation,
    check_locations,
    check_no_overlap,
    check_report,
    inputs_of,
    outputs_of,
)
from dedup_lib.report import Report
from dedup_lib.session.session import Session
from dedup_lib.session.start import is_surely_local
from dedup_lib.session.storage import Storage
from dedup_lib.settings import Settings
from dedup_lib.tables.manifest import MANIFEST_SUFFIX
from dedup_lib.tables.registry import check_exists
from dedup_lib.tables.target import Target

_HERE = re.compile(r"/(?=[^/])|\.{1,2}/|file:/(?://)?(?=[^/])|[^/:]+/")


def look(settings: Settings) -> None:
    """Raise the error that the run would raise, if it is certain without Spark. In doubt, return.

    Raises:
        DedupError: A location overlaps another one, the report can't be written, the output exists,
            or the image table or a list does not exist.
    """
    # Spark also sends a failure to these. Without it, only a path can be a report.
    if settings.metrics_output is not None or settings.lineage_config is not None:
        return
    if any(map(has_scheme, filter(None, (settings.report, settings.review)))):
        return
    named = [location for _, location in (*inputs_of(settings), *outputs_of(settings))]
    are_here = all(map(_is_here, (*named, settings.work_location or "./")))
    if (settings.report is not None and not are_here) or not is_surely_local():
        return
    session = Session(cast("SparkSession", None), cast("Storage", _ThisMachine()))
    check_report(session, settings)
    if are_here:
        check_locations(session, settings)
    _look_up(session.storage, settings)


def save_report(settings: Settings, report: Report) -> None:
    """Write the report of a run that failed before there was a session, if --report names a path.

    Raises:
        OverlapError: The report would replace an input, or lie in one.
        DiskFullError, UsageError: The report can't be written.
    """
    if settings.report is None:
        return
    canonical = _ThisMachine().canonical
    read = [
        RunLocation(role, canonical(location))
        for role, location in inputs_of(settings)
        if _is_here(location)
    ]
    if not has_scheme(settings.report):
        at = RunLocation("report", canonical(str(Path(settings.report).absolute())))
        check_no_overlap(read, [at])
    report.save(settings.report, None)


def _look_up(storage: Storage, settings: Settings) -> None:
    if settings.output is not None and _is_here(settings.output):
        _check_output(storage.canonical(settings.output), settings)
    for role, location in inputs_of(settings):
        if not _is_here(location):
            continue
        canonical = storage.canonical(location)
        if not _has_traces(canonical):
            check_exists(storage, canonical, f"{role} {canonical!r}")


def _is_here(location: str) -> bool:
    """Tell whether a location is a path on this machine, not a name or another file system."""
    return _HERE.match(location) is not None


def _check_output(canonical: str, settings: Settings) -> None:
    """Refuse an output that exists, unless the run may add to it, replace, repair or repeat it."""
    may_stay = settings.run_key is not None or settings.since_last_run
    if settings.output_mode != "error" or may_stay or _has_traces(canonical):
        return
    if Path(local_path(canonical)).parent == Path("/"):  # Spark knows more of roots
        return
    if os.path.exists(local_path(canonical)):  # noqa: PTH110  # the other raises if in doubt
        may_replace = settings.method_traits.can_replace
        name = settings.resolved_output_format
        raise Target(
            canonical, name, "error", "rename", canonical, exists=True, may_replace=may_replace
        ).exists_error()


def _has_traces(canonical: str) -> bool:
    """Tell whether a run left something beside a location, which the next run may have to repair.

    The manifest of a finished output repairs nothing.
    """
    manifest = Path(local_path(sibling(canonical, MANIFEST_SUFFIX)))
    beginning = manifest.name.removesuffix(MANIFEST_SUFFIX)
    try:
        names = {path.name for path in manifest.parent.iterdir() if path.name.startswith(beginning)}
        if names == {manifest.name}:
            return '"unfinished"' in manifest.read_text("utf-8")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError):
        return True
    return bool(names)


class _ThisMachine:
    """The part of a Storage that names and looks up files, for paths on this machine."""

    is_remote = False

    def canonical(self, location: str) -> str:
        path = local_path(location) if location.startswith("file:") else location
        # As Hadoop does: `..` leaves a directory by its name, wherever a link of that name leads.
        return "file:" + os.path.realpath(os.path.normpath(path))

    def exists(self, location: str) -> bool:
        try:
            Path(local_path(location)).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # Spark knows what to say
            return True
        return True
