"""Keep a run's records: the plan, and the listed IDs that are not in the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from dedup_lib.errors import ConflictError
from dedup_lib.locations import is_path
from dedup_lib.methods import spark_engine
from dedup_lib.plan.plan import Record
from dedup_lib.publish import marker, stage, targets
from dedup_lib.publish.attempts import attempt_directory, attempt_without_directory
from dedup_lib.publish.owners import named_without_result, owner_name
from dedup_lib.publish.sweep import sweep
from dedup_lib.session.session import Session
from dedup_lib.session.sql_names import sql_name
from dedup_lib.session.storage import Storage
from dedup_lib.settings import Settings
from dedup_lib.tables.history import UNFINISHED
from dedup_lib.tables.manifest import change_note, read_manifest
from dedup_lib.tables.registry import format_named, format_of, format_of_record
from dedup_lib.tables.target import Attempt, Target


def find_target(session: Session, settings: Settings, location: str) -> Target:
    """Examine a location that the run will write to: the output's or a record's.

    A record whose run died before it published is replaced, whatever the mode.
    """
    mode = settings.output_mode
    is_output = location == settings.output
    if is_output:
        table_format = format_named(settings.resolved_output_format)
    else:
        table_format = format_of_record(session, location)
    is_left = False
    if not settings.dry_run and (is_path(location) or not is_output):
        is_left = _was_left(session, settings, location)
    return table_format.find_target(
        session,
        location,
        "overwrite" if is_left else mode,
        may_replace=not is_output or settings.method_traits.can_replace,
        may_append=is_output and settings.since_last_run,
        is_unfinished=is_left,
    )


def _was_left(session: Session, settings: Settings, location: str) -> bool:
    """Tell whether the run of a record has ended without publishing, so that it may be replaced.

    If that run deleted its rows from the image table, the record stays: it is noted as finished.
    A table in a catalog is replaced only if this very run made it, and then had to plan anew.

    Raises:
        ConflictError: The record is a table in a catalog, and its run may have published.
    """
    note = _unfinished_note(session, location)
    if not note:
        return False
    if settings.changes_images:
        images, run = settings.images, note.get("run", "")
        if is_path(images):
            images = session.storage.canonical(images)
        if format_of(session, images).find_run(session, images, "run", run) is not None:
            finish(session, location)
            return False
    if not is_path(location) and not named_without_result(note[UNFINISHED]):
        raise ConflictError(
            f"table {location!r} is the record of run {note.get('run')}, which is at work or ended "
            "early: before it published, or right after. So it may be the only list of what that "
            "run removed. If no run is at work, and the listed rows are still there: DROP TABLE "
            f"{sql_name(location)}. Then run again. Or choose another location."
        )
    return True


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
    state = {UNFINISHED: owner_name(note["run"])} if is_unfinished else {}
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
            note=note | state,
        )
        cleanup.callback(written.discard, session, staged, attempt)
        found = written.count_rows(session, staged)
        stage.check_rows(staged, expected_rows=record.num_rows, found_rows=found)
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


def finish(session: Session, location: str) -> None:
    """Note with a record that its run has published its output."""
    note = dict(_unfinished_note(session, location))
    if not note:
        return
    if is_path(location):
        del note[UNFINISHED]
        change_note(session.storage, session.storage.canonical(location), note)
    else:
        format_of_record(session, location).finish_record(session, location, note["run"])


def _unfinished_note(session: Session, location: str) -> Mapping[str, Any]:
    """Return the note of a record whose run has yet to publish its output; otherwise {}."""
    if is_path(location):
        note: Mapping[str, Any] = read_manifest(
            session.storage, session.storage.canonical(location)
        )
    else:
        note = format_of_record(session, location).note_of_record(session, location)
    return note if note.get(UNFINISHED) else {}
