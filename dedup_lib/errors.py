"""What can go wrong, and the exit code that each kind of error ends in.

DedupError                    1  anything else
├── StorageError              1  a file system refused
├── UsageError                2  flags, TOML, impossible combinations
│   ├── SettingsError
│   ├── OverlapError
│   ├── UnsupportedError
│   ├── RunKeyError
│   └── JavaMissingError
├── InputError                3  table, list or column: missing, unreadable, ill-typed
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
├── SafetyLimitError          4  the plan passed a limit; nothing was written
│   ├── EmptyListError
│   ├── NoMatchesError
│   ├── LostKeeperError
│   ├── RemovedFractionError
│   └── PlanRefusedError
└── PublishError              5  the output exists, or could not be published
    ├── OutputExistsError
    ├── ConflictError
    ├── DiskFullError
    └── VerificationError
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import ClassVar

from dedup_lib.redaction import redact


class DedupError(Exception):
    """The root of all errors that this library raises itself; no message holds a secret."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class StorageError(DedupError):
    """A file system refused an operation."""


class UsageError(DedupError):
    """What was asked for can't be done as asked."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown, ill-typed, out of range, or contradicts another."""


class OverlapError(UsageError):
    """A place that would be written to is, holds, or lies in an input."""


class UnsupportedError(UsageError):
    """This version, platform or table can't do what was asked."""


class RunKeyError(UsageError):
    """A run key was used for another run, or for one that was undone."""


class JavaMissingError(UsageError):
    """Spark needs Java and found none that works."""


class InputError(DedupError):
    """An input can't be used as it is."""

    exit_code = 3


class TableNotFoundError(InputError):
    """There is no table, directory or file at a location."""


class TableFormatError(InputError):
    """A table is not laid out as its format demands."""


class MissingColumnError(InputError):
    """A table or list lacks a column."""

    @classmethod
    def of(cls, what: str, column: str, columns: Sequence[str], flag: str) -> MissingColumnError:
        """Name the missing column, the columns there are, and the flag that mends it."""
        shown = ", ".join(repr(name) for name in columns[:20])
        more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
        return cls(
            f"{what} has no column {column!r} (columns: {shown}{more})."
            f"{nearest(column, columns)} Use {flag}."
        )


class ColumnTypeError(InputError):
    """A column has a type that can't be used, or two types differ."""


class UnreadableFileError(InputError):
    """A file can't be read as what it is to be."""


class AmbiguousListError(InputError):
    """A list may mean two things, or mixes what means different things."""


class NotAListError(InputError):
    """What was given as a list says nothing of what to remove or to keep."""


class NoImageRowsError(InputError):
    """The image table holds no row."""


class InputChangedError(InputError):
    """An input changed while the run was reading it."""


class ImagesChangedError(InputError):
    """What is new in the image table since the last run can't be told."""


class PlanMismatchError(InputError):
    """A plan that was kept is not whole, or not for the image table as it is."""


class SafetyLimitError(DedupError):
    """The plan passed a safety limit."""

    exit_code = 4


class EmptyListError(SafetyLimitError):
    """The removal list holds no ID."""


class NoMatchesError(SafetyLimitError):
    """No ID of the removal list is in the image table."""


class LostKeeperError(SafetyLimitError):
    """An image would go, and so would every image that it duplicates."""


class RemovedFractionError(SafetyLimitError):
    """The plan would remove too large a share of the rows."""


class PlanRefusedError(SafetyLimitError):
    """A plan that was kept had passed a safety limit when it was made."""


class PublishError(DedupError):
    """The output exists, or could not be published."""

    exit_code = 5


class OutputExistsError(PublishError):
    """There is something at the output location that may not be replaced."""


class ConflictError(PublishError):
    """Another writer is at work on the same output."""


class DiskFullError(PublishError):
    """There is no room for what is written: the output, or Spark's own temporary files."""


class VerificationError(PublishError):
    """What was written is not what the plan says."""


def nearest(word: str, words: Sequence[str]) -> str:
    """Return ' Did you mean …?' for the nearest of some words, or nothing."""
    by_lower = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
