"""Translate Delta's errors into errors of this library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dedup_lib.errors import ConflictError, DedupError, UnsupportedError
from dedup_lib.session.failures import SPARK_ERRORS, first_line

_CONFLICT = re.compile(
    r"DELTA_CONCURRENT_|DELTA_(METADATA|PROTOCOL)_CHANGED|Concurrent\w*Exception"
)


@contextmanager
def explain_refused_deletes(location: str) -> Iterator[None]:
    """Turn Delta's errors on a refused deletion into this library's errors."""
    try:
        yield
    except SPARK_ERRORS as error:
        if (refused := refusal(location, error)) is not None:
            raise refused from error
        raise


def is_conflict(error: Exception) -> bool:
    """Tell whether Delta refused a commit because another writer committed in the meantime."""
    return _CONFLICT.search(str(error)) is not None


def refusal(location: str, error: Exception) -> DedupError | None:
    """Return this library's error if Delta refused a statement; None for any other error."""
    text = str(error)
    if is_conflict(error):
        return ConflictError(
            f"another writer changed {location!r} while rows were deleted, so Delta refused the "
            f"commit and nothing was deleted. Run again: {first_line(error)}"
        )
    if "AMBIGUOUS_REFERENCE" in text and "`_metadata`" in text:
        return UnsupportedError(
            f"table {location!r} has a column '_metadata', which Delta confuses with its own when "
            "it writes deletion vectors; nothing was deleted. Rename it, or use --method rewrite."
        )
    if "DELTA_CANNOT_MODIFY_APPEND_ONLY" in text:
        return UnsupportedError(
            f"table {location!r} is append-only (delta.appendOnly): no row can be deleted from it "
            "or from a clone of it. Use --method rewrite."
        )
    if "DELTA_UNSUPPORTED_FEATURES_FOR_WRITE" in text or "InvalidProtocolVersion" in text:
        return UnsupportedError(
            f"table {location!r} has a protocol feature that this Delta can't write: "
            f"{first_line(error)} Use a newer Delta, or --method rewrite."
        )
    return None
