"""Refuse to write to the location of an input, even if it is spelled in another way."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import PySparkException

from dedup_lib.errors import (
    InputError,
    OutputExistsError,
    OverlapError,
    StorageError,
    TableFormatError,
    TableNotFoundError,
)
from dedup_lib.locations import contains, has_scheme, is_path
from dedup_lib.report import report_file
from dedup_lib.session.one_file import file_uri
from dedup_lib.session.session import Session
from dedup_lib.session.storage import Storage
from dedup_lib.settings import Settings
from dedup_lib.tables.read import root_of
from dedup_lib.tables.registry import format_of_name


@dataclass(frozen=True)
class RunLocation:
    """A canonical location, and its role in the run.

    Attributes:
        role: The name of the role in messages.
        root: The canonical URI.
        is_shared: Whether the run only adds files below it, and other programs may do the same.
    """

    role: str
    root: str
    is_shared: bool = False


def check_no_overlap(read: Sequence[RunLocation], written: Sequence[RunLocation]) -> None:
    """Check that each written location is apart from all read and all other written locations.

    Raises:
        OverlapError: A written location equals another location, contains it, or lies in it.
    """
    for index, location in enumerate(written):
        for other in [*read, *written[:index]]:
            _check_apart(location, other)


def _check_apart(written: RunLocation, other: RunLocation) -> None:
    if contains(other.root, written.root) and not other.is_shared:
        relation = "is" if contains(written.root, other.root) else "lies inside"
    elif contains(written.root, other.root) and not written.is_shared:
        relation = "holds"
    else:
        return
    raise OverlapError(
        f"{written.role} {written.root!r} {relation} {other.role} {other.root!r}: one would "
        "destroy the other. Choose a separate location."
    )


def check_locations(session: Session, settings: Settings) -> None:
    """Check that the locations to write overlap neither an input nor each other.

    Raises:
        OverlapError: Two locations overlap.
        TableNotFoundError: The catalog has no table with an input's name.
    """

    def to_location(role: str, location: str) -> RunLocation:
        return RunLocation(role, root_of(session, location))

    read = [to_location(role, location) for role, location in inputs_of(settings)]
    written = [
        RunLocation(role, _output_root(session, location))
        for role, location in outputs_of(settings)
    ]
    if settings.metrics_output is not None:
        written += _metrics(session, settings.metrics_output)
    for role, file in (("report", settings.report), ("review", settings.review)):
        written += [] if file is None else _file(session.storage, role, file)
    if settings.work_location is not None:
        root = session.storage.canonical(settings.work_location)
        written.append(RunLocation("work location", root, is_shared=True))
    check_no_overlap(read, written)


def check_report(session: Session, settings: Settings) -> None:
    """Check that the report overlaps no input, since a failed run also writes its report.

    Inputs that can't be found are ignored here.

    Raises:
        OverlapError: The report overlaps an input.
        UsageError: The report can't be written. It is better to fail now than at the end.
    """
    if settings.report is None:
        return
    read = _inputs_found(session, settings)
    report = _file(session.storage, "report", settings.report)
    check_no_overlap(read, report)
    report_file(settings.report).check(session.storage)


def check_metrics(session: Session, settings: Settings) -> None:
    """Check that the metrics table overlaps no other location of the run.

    A failed run also appends to it. Locations that can't be found are ignored here.

    Raises:
        OverlapError: The metrics table overlaps another location.
    """
    if settings.metrics_output is None:
        return
    others = _inputs_found(session, settings)
    for role, location in outputs_of(settings):
        with contextlib.suppress(InputError, OutputExistsError, StorageError):
            others.append(RunLocation(role, _output_root(session, location)))
    if settings.report is not None:
        others += _file(session.storage, "report", settings.report)
    if settings.work_location is not None:
        root = session.storage.canonical(settings.work_location)
        others.append(RunLocation("work location", root, is_shared=True))
    check_no_overlap(others, _metrics(session, settings.metrics_output))


def _inputs_found(session: Session, settings: Settings) -> list[RunLocation]:
    """Return the locations of the inputs, without those that can't be found."""
    found = []
    for role, location in inputs_of(settings):
        with contextlib.suppress(InputError, StorageError):
            found.append(RunLocation(role, root_of(session, location)))
    return found


def _metrics(session: Session, location: str) -> list[RunLocation]:
    """Return the location of the metrics; empty if it can't be found, which fails no run."""
    with contextlib.suppress(OutputExistsError, PySparkException, StorageError):
        return [RunLocation("metrics output", _output_root(session, location))]
    return []


def _file(storage: Storage, role: str, location: str) -> list[RunLocation]:
    """Return the location of a report or review; empty if only the client sees the file."""
    try:
        return [RunLocation(role, storage.canonical(file_uri(location)))]
    except StorageError:
        if storage.is_remote and not has_scheme(location):
            return []
        raise


def outputs_of(settings: Settings) -> list[tuple[str, str]]:
    """Return the tables that a run writes: their roles and locations."""
    named = {
        "output": settings.output,
        "removed output": settings.removed_output,
        "unmatched output": settings.unmatched_output,
    }
    return [(role, location) for role, location in named.items() if location is not None]


def inputs_of(settings: Settings) -> list[tuple[str, str]]:
    """Return what a run reads: roles and locations, in the order of reading."""
    lists = [("removal list", item.location) for item in settings.duplicate_ids]
    lists += [("list to protect", location) for location in settings.protect_ids]
    if settings.apply_plan is not None:
        lists.append(("plan", settings.apply_plan))
    return [("image table", settings.images), *lists]


def _output_root(session: Session, location: str) -> str:
    if not is_path(location):
        table_format = format_of_name(session, location)
        is_table = table_format.has_named(session, location)
        if not is_table or table_format.is_part(session, location):
            return table_format.root_of_new(session, location)
    try:
        return root_of(session, location)
    except TableNotFoundError:  # the name is in a catalog of this format, whose table is to be made
        return format_of_name(session, location).root_of_new(session, location)
    except TableFormatError as error:
        raise OutputExistsError(f"output {location!r} is not replaced: {error}") from error
