"""Where the attempts at a target work."""

from __future__ import annotations

from dedup_lib.errors import (
    SettingsError,
)
from dedup_lib.locations import get_scheme
from dedup_lib.session.session import Session
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import UNTOLD, Target


def default_base(session: Session, target: Target) -> str:
    """Return the canonical location beside which a target's attempts work.

    For a path it is the path; for a table that is, its directory; for one that is yet to be
    made, a name in the directory of its catalog schema.
    """
    if target.root is not None:
        return target.root
    return format_named(target.format).root_of_new(session, target.location)


def check_told(base: str, advice: str) -> None:
    """Check that files can be kept at a base, which is none where a catalog keeps places to itself.

    Raises:
        SettingsError: They can't.
    """
    if get_scheme(base) == UNTOLD:
        name = base.partition(":/")[2].replace("/", ".")
        raise SettingsError(
            f"the catalog does not tell where table {name!r} will keep its files, and the run has "
            f"files of its own to keep: {advice}"
        )
