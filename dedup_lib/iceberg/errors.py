"""Tell Iceberg's errors apart, and translate them into errors of this library."""

from __future__ import annotations

import re

from dedup_lib.errors import ConflictError
from dedup_lib.session.failures import first_line

_LOST_RACE = re.compile(r"CommitFailedException|Cannot commit: stale|Version \d+ already exists")
_CONFLICT = re.compile(
    r"CommitFailedException|ValidationException|Cannot fast-forward|Cannot use branch"
    r"|Found (concurrently added DV|conflicting|new conflicting)|Cannot find snapshot"
    r"|(Ref|Branch) does not exist|unknown snapshot"
)


def is_lost_race(error: Exception) -> bool:
    """Tell whether another commit came first, so that the same statement may succeed now."""
    return _LOST_RACE.search(str(error)) is not None


def is_answer_lost(error: Exception) -> bool:
    """Tell whether the catalog did not say if it made the commit."""
    return "CommitStateUnknownException" in str(error)


def is_conflict(error: Exception) -> bool:
    """Tell whether Iceberg refused a commit because others changed the table."""
    return _CONFLICT.search(str(error)) is not None


def conflict(location: str, error: Exception) -> ConflictError | None:
    """Return this library's error if Iceberg refused a commit; None for any other error."""
    if not is_conflict(error):
        return None
    return ConflictError(
        f"another writer changed {location!r} or the branch of this run meanwhile, so Iceberg "
        f"refused the commit: no row was deleted from it. Run again: {first_line(error)}"
    )
