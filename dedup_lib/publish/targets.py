"""Choose the directory beside which a run keeps its files for an output."""

from __future__ import annotations

from dedup_lib.errors import (
    SettingsError,
)
from dedup_lib.locations import get_scheme
from dedup_lib.session.session import Session
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import UNKNOWN_SCHEME, Target


def default_base(session: Session, target: Target) -> str:
    """Return the canonical location beside which a run keeps its files for a target.

    For a path, this is the path. For an existing table, it is the table's directory. For a new
    table, it is a name in the directory of its catalog schema.
    """
    if target.root is not None:
        return target.root
    return format_named(target.format).root_of_new(session, target.location)


def check_base_is_known(base: str, advice: str) -> None:
    """Check that the run can keep its files beside a base location.

    Raises:
        SettingsError: The catalog does not reveal the table's location.
    """
    if get_scheme(base) == UNKNOWN_SCHEME:
        name = base.partition(":/")[2].replace("/", ".")
        raise SettingsError(
            f"the catalog does not reveal the location of table {name!r}, and the run must keep "
            f"files beside it: {advice}"
        )
