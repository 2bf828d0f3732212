"""The errors of this library, and the exit code of each kind.

DedupError                    1  any other failure
├── StorageError              1  a file system or a catalog refuses
├── UsageError                2  flags, TOML, impossible combinations
│   ├── SettingsError
│   ├── OverlapError
│   ├── UnsupportedError
│   ├── RunKeyError
│   └── JavaMissingError
├── InputError                3  table, list or column: missing, unreadable, wrong type
│   ├── TableNotFoundError
│   ├── TableFormatError
│   ├── MissingColumnError
│   ├── ColumnTypeError
│   ├── UnreadableFileError
│   ├── AmbiguousListError
│   ├── NotAListError
│   ├── NoImageRowsError
│   ├── InputChangedError
│   ├── ImagesChangedError
│   └── PlanMismatchError
├── SafetyLimitError          4  the plan violates a limit; nothing was written
│   ├── EmptyListError
│   ├── NoMatchesError
│   ├── LostKeeperError
│   ├── RemovedFractionError
│   └── PlanRefusedError
└── PublishError              5  the output exists, or can't be published
    ├── OutputExistsError
    ├── ConflictError
    │   └── PlanOutdatedError
    ├── DiskFullError
    └── VerificationError
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import ClassVar

from dedup_lib.redaction import redact


class DedupError(Exception):
    """The root of all errors of this library. Their messages hold no secrets."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class StorageError(DedupError):
    """A file system or a catalog refuses an operation."""


class UsageError(DedupError):
    """The request can't be fulfilled as it is."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown, has a wrong type, is out of range, or contradicts another."""


class OverlapError(UsageError):
    """A location to write equals, contains, or lies inside an input."""


class UnsupportedError(UsageError):
    """This version, platform or table can't do it."""


class RunKeyError(UsageError):
    """A run key belongs to another run, or to a run that was undone."""


class JavaMissingError(UsageError):
    """Spark needs Java, and no working Java was found."""


class InputError(DedupError):
    """An input can't be used as it is."""

    exit_code = 3


class TableNotFoundError(InputError):
    """A location has no table, directory or file."""


class TableFormatError(InputError):
    """A table does not have the layout that its format demands.

    Attributes:
        other_format: The name of the format that reads what is there, if that is known.
    """

    def __init__(self, message: str, *, other_format: str | None = None) -> None:
        super().__init__(message)
        self.other_format = other_format


class MissingColumnError(InputError):
    """A table or list lacks a column.

    Attributes:
        lacks: The part of the message that says which column is missing, and which there are.
        column: The missing column; None if it is not a single one.
        columns: The existing columns.
        flag: The flag that names another column.
    """

    lacks: str = ""
    column: str | None = None
    columns: Sequence[str] = ()
    flag: str = ""

    @classmethod
    def of(
        cls,
        what: str,
        column: str,
        columns: Sequence[str],
        flag: str,
        *,
        candidates: Sequence[str] | None = None,
    ) -> MissingColumnError:
        """Make the error with the missing column, the existing columns, and the flag that helps.

        Args:
            what: The table or list, as the beginning of the message.
            column: The missing column.
            columns: The existing columns.
            flag: The flag that names another column.
            candidates: The columns that may be meant, by their types; None for all.
        """
        shown = ", ".join(repr(name) for name in columns[:20])
        more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
        lacks = f"{what} has no column {column!r} (columns: {shown}{more})."
        similar = suggest(column, columns if candidates is None else candidates)
        error = cls(f"{lacks}{similar} Use {flag}.")
        error.lacks, error.column, error.columns, error.flag = lacks, column, columns, flag
        return error


class ColumnTypeError(InputError):
    """A column has a type that can't be used, or two types differ."""


class UnreadableFileError(InputError):
    """A file can't be read in the format that it should have."""


class AmbiguousListError(InputError):
    """A list has two possible meanings, or mixes entries of different meanings."""


class NotAListError(InputError):
    """A given list does not say which images to remove or to keep."""


class NoImageRowsError(InputError):
    """The image table has no rows."""


class InputChangedError(InputError):
    """An input changed while the run was reading it."""


class ImagesChangedError(InputError):
    """The changes in the image table since the last run can't be found."""


class PlanMismatchError(InputError):
    """A kept plan is incomplete, or does not fit the image table as it is now."""


class SafetyLimitError(DedupError):
    """The plan violates a safety limit."""

    exit_code = 4


class EmptyListError(SafetyLimitError):
    """The removal list has no IDs."""


class NoMatchesError(SafetyLimitError):
    """No ID of the removal list is in the image table."""


class LostKeeperError(SafetyLimitError):
    """An image would be removed together with every image that it duplicates."""


class RemovedFractionError(SafetyLimitError):
    """The plan removes too large a share of the rows."""


class PlanRefusedError(SafetyLimitError):
    """A kept plan violated a safety limit when it was made."""


class PublishError(DedupError):
    """The output exists, or can't be published."""

    exit_code = 5


class OutputExistsError(PublishError):
    """Something exists at the output location and may not be replaced."""


class ConflictError(PublishError):
    """Another writer works on the same output."""


class PlanOutdatedError(ConflictError):
    """Rows were appended to the image table after the plan; a run can plan anew."""


class DiskFullError(PublishError):
    """The disk is too full for the output or for Spark's temporary files."""


class VerificationError(PublishError):
    """The written rows differ from the plan."""


def suggest(word: str, words: Sequence[str]) -> str:
    """Return ' Did you mean …?' with the most similar of some words, or an empty text."""
    by_lower = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
