"""Verify a staged output, and describe it for the report."""

from __future__ import annotations

from typing import Any

from dedup_lib.errors import VerificationError
from dedup_lib.tables.registry import format_named
from dedup_lib.tables.target import Staged


def check_rows(
    staged: Staged, *, expected_rows: int, found_rows: int, what: str = "comes to"
) -> None:
    """Compare the number of written rows with the plan.

    Raises:
        VerificationError: They differ, and nothing is published. If there is a commit already, the
            message names it and the command that undoes it.
    """
    if expected_rows == found_rows:
        return
    raise _error(
        staged,
        f"the plan {what} {expected_rows} rows, but {found_rows} were written to "
        f"{staged.location!r}",
    )


def check_ids(staged: Staged, *, are_same: bool) -> None:
    """Refuse an output with other IDs than the plan's.

    Raises:
        VerificationError: As for `check_rows`.
    """
    if not are_same:
        raise _error(
            staged,
            f"other IDs than the plan's were written to {staged.location!r}: an image file was "
            "changed during the run, or Spark reads it wrongly. Run again when no one writes "
            "there; if that fails, too, use another version of Spark",
        )


def _error(staged: Staged, message: str) -> VerificationError:
    undo = format_named(staged.target.format).undo(staged)
    if undo is None:
        return VerificationError(f"{message}. Nothing was published.")
    return VerificationError(f"{message}, in version {staged.version}. To undo it: {undo}")


def describe(staged: Staged) -> dict[str, Any]:
    """Return what the report says about an output that is about to be published."""
    described: dict[str, Any] = {
        "location": staged.target.location,
        "format": staged.target.format,
        "version": staged.version,
    }
    if staged.target.version is not None:
        described["previous_version"] = staged.target.version
    if staged.deletion_vectors is not None:
        described["deletion_vectors"] = staged.deletion_vectors
        if not staged.target.is_renamed:
            described |= {"version": 0, "companion": staged.location}
    return described
