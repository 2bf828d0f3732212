"""Recognise a repeated run by its run key, so that it is not applied twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dedup_lib.errors import RunKeyError
from dedup_lib.lists.removal_list import ENTRY_COLUMN, RemovalList, sum_of_hashes
from dedup_lib.locations import is_path
from dedup_lib.session.session import Session
from dedup_lib.session.storage import Storage
from dedup_lib.settings import ListKind, Settings
from dedup_lib.tables.history import EarlierRun
from dedup_lib.tables.registry import format_of

# The result of a run depends on these settings. Others (strategy, work location, …) may differ.
_COMPARED = (
    "action",
    "image_id_column",
    "image_id_from",
    "method",
    "resolved_output_format",
    "eps",
    "keeper",
    "on_lost_keeper",
)


def find_earlier_run(session: Session, location: str, run_key: str) -> EarlierRun | None:
    """Look for a run with a given key, in the table that it would have changed.

    Args:
        session: The session, with its file systems.
        location: The output; the image table if rows are removed in place.
        run_key: The key.

    *Cost:* a small file, or a Delta table's history as far back as Delta keeps it.
    """
    if is_path(location):
        location = session.storage.canonical(location)
    return format_of(session, location).find_run(session, location, "run_key", run_key)


def fingerprint(
    storage: Storage,
    settings: Settings,
    images: str,
    *,
    lists: Sequence[RemovalList],
    protected: Sequence[RemovalList],
    plan: str | None,
) -> str:
    """Return a SHA-256 of everything that a run's result depends on.

    Args:
        storage: The session's file systems.
        settings: The run's settings.
        images: The image table's canonical location. The table's version does not count.
        lists: The removal lists. Their entries count, but not their locations and order.
        protected: The lists of protected IDs, compared in the same way.
        plan: The digest of a kept plan, if one is applied instead of lists.

    *Cost:* one pass over the IDs of all lists.
    """
    compared = {name: getattr(settings, name) for name in _COMPARED}
    for name in ("output", "removed_output", "unmatched_output"):
        location = getattr(settings, name)
        is_spelled = location is not None and is_path(location)
        compared[name] = storage.canonical(location) if is_spelled else location
    if settings.protect_where is not None:  # so that keys of earlier versions stay valid
        compared["protect_where"] = settings.protect_where
    # In place, a repeated run completes an interrupted purge, so --purge may differ. A published
    # clone is not changed again.
    compared["purge"] = settings.purge and not settings.changes_images
    contents = [_content_of(lists) if plan is None else [["plan", plan]]]
    if protected:
        contents.append(_content_of(protected))
    text = json.dumps([compared, images, *contents])
    return hashlib.sha256(text.encode()).hexdigest()


def check_same_run(
    earlier: EarlierRun | None, run_key: str | None, own_fingerprint: str | None
) -> EarlierRun:
    """Check that an earlier run with the same key was the same run, and was not undone.

    Args:
        earlier: The earlier run; None if Delta knows the key but the table's history no longer
            holds the run.
        run_key: The key.
        own_fingerprint: The result of `fingerprint` for the current run.

    Raises:
        RunKeyError: The earlier run had other inputs or settings, was undone since, or is no longer
            known.
    """
    if earlier is None:
        raise RunKeyError(
            f"--run-key {run_key!r} was used on this table before, in a commit that its history "
            "no longer has, and the table has rows to remove again. Use a new key."
        )
    if earlier.note.get("fingerprint") != own_fingerprint:
        raise RunKeyError(
            f"--run-key {run_key!r} was used before with another list, another image table or "
            "other settings: a key identifies one run. Use a new key."
        )
    if earlier.was_undone:
        raise RunKeyError(
            f"the run with --run-key {run_key!r} made version {earlier.version}, and the "
            "table was restored to an earlier version after that. To remove the rows again, use a "
            "new key."
        )
    return earlier


def _content_of(lists: Sequence[RemovalList]) -> list[list[str]]:
    """Add up hashes of the entries of each kind, keepers, scores and groups included.

    The result is the same for the same entries, in any order, files or number of lists. Only lists
    of groups are added up one by one, since a group belongs to its list.
    """
    parts: dict[tuple[ListKind, int], list[DataFrame]] = {}
    for index, item in enumerate(lists):
        part = (item.kind, index if item.kind == "groups" else 0)
        parts.setdefault(part, []).append(item.frame)
    contents = []
    for (kind, _), frames in parts.items():
        entries = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), frames)
        hashes = sum_of_hashes(*entries.columns)
        row = entries.agg(F.count(F.lit(1)), F.count(ENTRY_COLUMN), hashes).collect()[0]
        id_type = entries.schema[ENTRY_COLUMN].dataType.simpleString()
        contents.append([kind, id_type, *map(str, row)])
    return sorted(contents)
