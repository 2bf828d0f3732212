"""Values that describe the output table: its target, a run's attempt, the staged table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from dedup_lib.errors import OutputExistsError
from dedup_lib.settings import OutputMode

if TYPE_CHECKING:
    from dedup_lib.tables.pinned import PinnedTable

Publishing = Literal["rename", "commit", "marker"]
# The scheme of the location of a table whose catalog does not reveal its location.
UNKNOWN_SCHEME = "table"


@dataclass(frozen=True)
class Target:
    """The table that a run will write.

    Attributes:
        location: The canonical URI, or the catalog name as given.
        format: The name of its format.
        mode: `error` or `overwrite`.
        publishing: How it is published: `rename` renames the staged directory beside it, `commit`
            is a commit of its format, `marker` writes a marker if a rename is not one step.
        root: The canonical URI of its directory; None for a table that does not exist yet.
        exists: Whether there is a table to replace.
        may_replace: Whether `overwrite` could replace it; a clone can't.
        version: The version that it would replace, if the format publishes only over that one.
    """

    location: str
    format: str
    mode: OutputMode
    publishing: Publishing
    root: str | None
    exists: bool
    may_replace: bool = True
    version: int | None = None

    @property
    def is_renamed(self) -> bool:
        """Whether the table is staged beside its location and renamed."""
        return self.publishing == "rename"

    @property
    def is_marked(self) -> bool:
        """Whether the table is written at its location and marked as complete."""
        return self.publishing == "marker"

    @property
    def is_committed(self) -> bool:
        """Whether a commit of its format publishes the table."""
        return self.publishing == "commit"

    def exists_error(self) -> OutputExistsError:
        """Return the error for a location where something exists."""
        replace = (
            "Use --output-mode overwrite to replace it, or choose" if self.may_replace else "Choose"
        )
        return OutputExistsError(f"output {self.location!r} exists. {replace} another location.")


@dataclass(frozen=True)
class Attempt:
    """One run's attempt at one output.

    Attributes:
        attempt_id: A random name.
        directory: The directory for the plan and staged files. Readers do not look there.
        output: The final location of the output if the run writes there directly; otherwise None.
        has_directory: Whether the run creates the directory. A commit over Spark Connect does not
            need it.
    """

    attempt_id: str
    directory: str
    output: str | None = None
    has_directory: bool = True

    @property
    def plan(self) -> str:
        """The location of the plan."""
        return f"{self.directory}/plan"

    @property
    def ids(self) -> str:
        """The location of the ID table."""
        return f"{self.directory}/ids"

    @property
    def staged(self) -> str:
        """The location of the output before it is published."""
        return self.output or f"{self.directory}/output"

    @property
    def partial(self) -> str:
        """The location of unfinished files, and of files from failed tasks."""
        return f"{self.directory}/partial"


@dataclass(frozen=True)
class Origin:
    """The image table that the rows of an output are from; nothing for the rows of a record.

    Attributes:
        images: The table.
        settings: The session settings that were chosen for reading and writing its images.
    """

    images: PinnedTable | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


NO_ORIGIN = Origin()


class CountedFile(NamedTuple):
    """The size of a written file, and its rows, which a task counted by reading it anew."""

    size_bytes: int
    num_rows: int


@dataclass(frozen=True)
class Staged:
    """A table that was written, but not yet verified and published.

    Attributes:
        target: The target that it was written for.
        location: Where it is: staged, or already at the target's location (a commit).
        version: The version that holds it; None for a format without versions.
        deletion_vectors: For a clone, how many deletion vectors hide rows.
        counted: The files that need not be read once more to count their rows, by their path below
            the location.
    """

    target: Target
    location: str
    version: int | None
    deletion_vectors: int | None = None
    counted: Mapping[str, CountedFile] = field(default_factory=dict)

    @property
    def is_in_place(self) -> bool:
        """Whether the table is already at the target's location."""
        return self.location == self.target.location
