"""A run whose key was used before: what that run did is reported, and nothing is applied."""

from __future__ import annotations

import logging

from dedup_lib.delta import in_place_commit
from dedup_lib.methods import in_place, run_key
from dedup_lib.methods.run_context import RunContext
from dedup_lib.methods.run_key import EarlierRun
from dedup_lib.plan import id_scan
from dedup_lib.tables import pinned
from dedup_lib.tables.pinned import PinnedTable

_log = logging.getLogger(__name__)


def find_earlier_run(run: RunContext) -> EarlierRun | None:
    """Look for a run with the same key; a sweep of eps asks, and is none."""
    settings = run.settings
    location = settings.output or (settings.images if settings.method == "in-place" else None)
    if settings.run_key is None or location is None or settings.eps_values:
        return None
    return run_key.find_earlier_run(run.session, location, settings.run_key)


def repeat(run: RunContext, earlier: EarlierRun | None, images: PinnedTable) -> None:
    """Report what a run with the same key did, if it was the same run."""
    settings = run.settings
    earlier = run_key.check_same_run(earlier, settings.run_key, run.fingerprint)
    _log.info("run %r is done already: nothing is applied", settings.run_key)
    run.report.repeat(earlier.note, earlier.version)
    if settings.output is not None:
        run_key.check_repeated(run.session.spark, earlier)
    elif earlier.commit is not None:
        in_place_commit.check_repeated(images.location, earlier.commit)
    if settings.dry_run:
        run.report.finish("dry_run")
        return
    run.workspace.tidy_up_beside(pinned.root_of(run.session, earlier.location))
    if settings.output is None and settings.purge:
        in_place.purge(run, images, id_scan.count_files(images, settings.image_id_column))
    run.finish_records()
    run.report.finish("succeeded")
