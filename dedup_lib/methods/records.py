"""Keep a run's records: the plan, and the listed IDs that are not in the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from dedup_lib.locations import is_path
from dedup_lib.methods import spark_engine
from dedup_lib.plan.plan import Record
from dedup_lib.publish import marker, stage, targets
from dedup_lib.publish.attempts import attempt_directory, attempt_without_directory
from dedup_lib.publish.sweep import sweep
from dedup_lib.session.session import Session
from dedup_lib.session.storage import Storage
from dedup_lib.settings import OutputMode, Settings
from dedup_lib.tables.manifest import change_note, read_manifest
from dedup_lib.tables.registry import format_named, format_of, format_of_record
from dedup_lib.tables.target import Attempt, Target


def find_target(session: Session, settings: Settings, location: str) -> Target:
    """Examine a location that the run will write to: the output's or a record's."""
    mode = settings.output_mode
    is_left = not settings.dry_run and is_unfinished(session.storage, location)
    if is_left:
        mode = _mode_for_unfinished(session, settings, location)
    is_output = location == settings.output
    if is_output:
        table_format = format_named(settings.resolved_output_format)
    else:
        table_format = format_of_record(session, location)
    return table_format.find_target(
        session,
        location,
        mode,
        may_replace=not is_output or settings.method_traits.can_replace,
        may_append=is_output and settings.since_last_run,
        is_unfinished=is_left,
    )


def _mode_for_unfinished(session: Session, settings: Settings, location: str) -> OutputMode:
    """Return `overwrite` for a record whose run never published.

    If that run deleted its rows from the image table, the record stays: it is noted as finished,
    and the mode from the settings is returned.
    """
    if settings.changes_images:
        images, run = settings.images, run_of(session.storage, location)
        if is_path(images):
            images = session.storage.canonical(images)
        if format_of(session, images).find_run(session, images, "run", run) is not None:
            finish(session.storage, location)
            return settings.output_mode
    return "overwrite"


def keep(
    session: Session,
    record: Record,
    target: Target,
    *,
    note: Mapping[str, Any],
    is_unfinished: bool,
) -> None:
    """Publish a record as a separate table.

    Args:
        session: The session, with its file systems.
        record: The rows.
        target: The target to write to.
        note: The note for its manifest or commit. The note's `run` names the attempt.
        is_unfinished: Whether the run has yet to publish its output. A retry may replace the
            record until `finish` is called.
    """
    base = targets.default_base(session, target)
    note = {**note, "holds": record.holds}
    with ExitStack() as cleanup:
        attempt = _open_attempt(session.storage, target, base, note["run"], cleanup)
        written = format_named(target.format)
        staged = written.stage(
            session,
            target,
            spark_engine.writer(written.with_note(record.rows, note), ()),
            attempt,
            schema=record.rows.schema,
            num_rows=max(record.num_rows, 1),  # Spark writes a file even if there are no rows
            note=note,
        )
        cleanup.callback(written.discard, session, staged, attempt)
        found = written.count_rows(session, staged)
        stage.check_rows(staged, expected_rows=record.num_rows, found_rows=found)
        state = {"unfinished": True} if is_unfinished else {}
        written.promote(session, staged, attempt, note | state)


def _open_attempt(
    storage: Storage, target: Target, base: str, run: str, cleanup: ExitStack
) -> Attempt:
    if target.is_renamed:
        sweep(storage, base, run)
        return cleanup.enter_context(attempt_directory(storage, base, run))
    if target.is_marked:
        cleanup.enter_context(marker.open_output(storage, target.location, run))
        return dataclasses.replace(attempt_without_directory(base, run), output=target.location)
    return attempt_without_directory(base, run)


def is_unfinished(storage: Storage, location: str) -> bool:
    """Tell whether the run that left a record died before it published its output."""
    if not is_path(location):
        return False
    return bool(read_manifest(storage, storage.canonical(location)).get("unfinished", False))


def run_of(storage: Storage, location: str) -> str:
    """Return the name of the attempt that kept a record at a path; empty if it is unknown."""
    return str(read_manifest(storage, storage.canonical(location)).get("run", ""))


def finish(storage: Storage, location: str) -> None:
    """Note in a record's manifest that its run has published its output."""
    if not is_unfinished(storage, location):
        return
    location = storage.canonical(location)
    manifest = read_manifest(storage, location)
    del manifest["unfinished"]
    change_note(storage, location, manifest)
