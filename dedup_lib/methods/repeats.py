"""Repeat a run whose key was used before: report the earlier results, and apply nothing."""

from __future__ import annotations

import logging
from typing import Any

from dedup_lib.methods import run_key
from dedup_lib.methods.run_context import RunContext
from dedup_lib.tables.history import EarlierRun
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.read import root_of
from dedup_lib.tables.registry import format_of

_log = logging.getLogger(__name__)


def find_earlier_run(run: RunContext) -> EarlierRun | None:
    """Look for a run with the same key; None for a run that only compares eps values."""
    settings = run.settings
    location = settings.output or (settings.images if settings.changes_images else None)
    if settings.run_key is None or location is None or settings.eps_values:
        return None
    return run_key.find_earlier_run(run.session, location, settings.run_key)


def _in_place(images: ImageTable) -> Any:
    return images.table_format.methods["in-place"]


def repeat(run: RunContext, earlier: EarlierRun | None, images: ImageTable) -> None:
    """Check that the earlier run with the same key was the same run, and report its results."""
    settings = run.settings
    earlier = run_key.check_same_run(earlier, settings.run_key, run.fingerprint)
    _log.info("run %r is done already: nothing is applied", settings.run_key)
    run.report.repeat(earlier.note, earlier.version)
    if settings.output is not None:
        format_of(run.session, earlier.location).check_repeated(run.session, earlier)
    else:
        _in_place(images).check_repeated(images, earlier)
    if settings.dry_run:
        run.report.finish("dry_run")
        return
    run.workspace.clean_up_beside(root_of(run.session, earlier.location))
    if settings.output is None:
        _in_place(images).make_up(run, images)
    run.finish_records()
    run.report.finish("succeeded")
