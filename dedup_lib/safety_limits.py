"""What a plan must satisfy before anything is written."""

from __future__ import annotations

from dedup_lib.errors import EmptyListError, NoMatchesError, RemovedFractionError


def check_list_not_empty(*, num_ids: int, allow_empty_list: bool) -> None:
    """Refuse lists that hold no ID at all.

    Raises:
        EmptyListError: There is no non-null entry, and that is not allowed.
    """
    if num_ids == 0 and not allow_empty_list:
        raise EmptyListError(
            "the removal lists hold no ID at all: the upstream step may have failed. "
            "Use --allow-empty-list where that is expected."
        )


def check_matches(*, num_ids: int, removed_rows: int, allow_no_matches: bool) -> None:
    """Refuse lists of which no ID is in the image table.

    Raises:
        NoMatchesError: The lists hold IDs, none matched, and that is not allowed.
    """
    if num_ids > 0 and removed_rows == 0 and not allow_no_matches:
        raise NoMatchesError(
            f"none of the {num_ids} list entries is an ID of the image table: the list may "
            "belong to another table, or name another kind of ID. Compare a few of both; use "
            "--allow-no-matches where that is expected."
        )


def check_removed_fraction(
    *, input_rows: int, removed_rows: int, max_removed_fraction: float
) -> None:
    """Refuse to remove more than a share of the rows.

    Raises:
        RemovedFractionError: removed_rows / input_rows is above the limit.
    """
    if removed_rows / input_rows > max_removed_fraction:
        raise RemovedFractionError(
            f"the plan removes {removed_rows} of {input_rows} rows "
            f"({removed_rows / input_rows:.4f}), more than --max-removed-fraction "
            f"{max_removed_fraction}. Look at the plan (--dry-run --removed-output …), and "
            "raise the limit where that is right."
        )
