"""A table that is to be written: where it goes, where it is staged, what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dedup_lib.errors import OutputExistsError
from dedup_lib.settings import OutputMode

Publishing = Literal["rename", "commit", "marker"]
# The scheme of a table's location that its catalog does not tell.
UNTOLD = "table"


@dataclass(frozen=True)
class Target:
    """A table that is to be written.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: The name of its format.
        mode: `error` or `overwrite`.
        publishing: How it is published: by the `rename` of what was staged beside it, by a
            `commit` of its format, or by a `marker` where no rename is one step.
        root: The canonical URI of its directory; None for a table that is yet to be made.
        exists: Whether there is a table to be replaced.
        may_replace: Whether `overwrite` could replace it; a clone can't.
    """

    location: str
    format: str
    mode: OutputMode
    publishing: Publishing
    root: str | None
    exists: bool
    may_replace: bool = True

    @property
    def is_renamed(self) -> bool:
        """Whether it is staged beside its location and renamed."""
        return self.publishing == "rename"

    @property
    def is_marked(self) -> bool:
        """Whether it is written at its location and marked as complete."""
        return self.publishing == "marker"

    @property
    def is_committed(self) -> bool:
        """Whether a commit of its format publishes it."""
        return self.publishing == "commit"

    def exists_error(self) -> OutputExistsError:
        """Return the error for a location that is taken."""
        replace = (
            "Use --output-mode overwrite to replace it, or choose" if self.may_replace else "Choose"
        )
        return OutputExistsError(f"output {self.location!r} exists. {replace} another place.")


@dataclass(frozen=True)
class Attempt:
    """One run's attempt at one output.

    Attributes:
        attempt_id: A random name.
        directory: Its own directory, for plan and staged files. No reader looks there.
        output: The output's own location, where the output is written there at once.
        is_made: Whether the directory is made. A commit over Spark Connect needs none.
    """

    attempt_id: str
    directory: str
    output: str | None = None
    is_made: bool = True

    @property
    def plan(self) -> str:
        """Where the plan is kept."""
        return f"{self.directory}/plan"

    @property
    def staged(self) -> str:
        """Where the output is written before it is published."""
        return self.output or f"{self.directory}/output"

    @property
    def partial(self) -> str:
        """Where unfinished files are, and those of tasks that failed."""
        return f"{self.directory}/partial"


@dataclass(frozen=True)
class Staged:
    """A table that was written, and is to be verified and published.

    Attributes:
        target: What it is for.
        location: Where it is: staged, or already at the target's location (a commit).
        version: The version that holds it; None for a format without versions.
        deletion_vectors: For a clone, how many of them hide rows.
    """

    target: Target
    location: str
    version: int | None
    deletion_vectors: int | None = None

    @property
    def is_in_place(self) -> bool:
        """Whether it is at the target's location already."""
        return self.location == self.target.location
