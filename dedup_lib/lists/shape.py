"""What is known of a removal list: its columns and directories, and what it was taken for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from dedup_lib.errors import MissingColumnError
from dedup_lib.settings import ListKind

DEFAULT_ID_COLUMN = "id"
ID_FLAG = "--duplicate-id-column"
KIND_FLAG = "--list-kind"
PAIRWISE_COLUMNS = ("id", "max_id", "cosine_sim_score")
GROUP = "group"
# Columns that tell groups, and who writes them: all but the last have no other meaning.
GROUPS = {
    "_hashes": "NeMo Curator 0.x exact duplicates, every member of each group",
    "_duplicate_group_id": "NeMo Curator's connected components, every member of each group",
    GROUP: "groups, every member of each (NeMo Curator 0.x fuzzy duplicates)",
}
# Directories of lists of one column, which has the name that the user's own ID column has.
DUPLICATES_BY_ANY_NAME = {
    "ExactDuplicateIds": "NeMo Curator's exact duplicates",
    "FuzzyDuplicateIds": "NeMo Curator's fuzzy duplicates",
}
BY_COLUMN = {
    "_curator_dedup_id": "NeMo Curator's generated IDs",
    "docs_to_remove": "data-prep-kit's documents to remove",
}
# What pandas makes of a frame's row labels, where they are not left out.
_ROW_LABELS = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class ListShape:
    """What a list, or one of its files, was taken for.

    Attributes:
        kind: What its entries mean.
        producer: Who writes such lists, in words.
        id_column: The column with the image IDs.
        keeper_column: Of pairs: the image that each one duplicates.
        score_column: Of pairs: how similar the two are.
        group_column: Of groups: what the members of a group have in common.
        other_columns: The columns that do not count.
    """

    kind: ListKind
    producer: str
    id_column: str
    keeper_column: str | None = None
    score_column: str | None = None
    group_column: str | None = None
    other_columns: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that count, the ID first."""
        others = (self.keeper_column, self.score_column, self.group_column)
        return (self.id_column, *(column for column in others if column is not None))


@dataclass(frozen=True)
class FoundList:
    """A list, or one of its files, before it is known what it means.

    Attributes:
        what: Its name for messages.
        path: The path of one of its files. For a table it ends in a slash.
        columns: Its columns: name to type, as Spark spells types.
        id_column: The ID column that the user names, if any.
        is_said: Whether the user says what kind of list it is.
    """

    what: str
    path: str
    columns: Mapping[str, str]
    id_column: str | None
    is_said: bool

    @classmethod
    def of(
        cls, what: str, path: str, columns: Mapping[str, str], id_column: str | None, is_said: bool
    ) -> FoundList:
        """Leave out the row labels that pandas writes as a column."""
        named = {name: of for name, of in columns.items() if not _ROW_LABELS.fullmatch(name)}
        return cls(what, path, named, id_column, is_said)

    @property
    def directory(self) -> str:
        """The directory that it is in, past its partitions."""
        above = (part for part in reversed(self.path.split("/")[:-1]) if "=" not in part)
        return next(above, "")

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """The columns that the directories above its files name, the innermost first."""
        above = takewhile(lambda part: "=" in part, reversed(self.path.split("/")[:-1]))
        return tuple(part.partition("=")[0] for part in above)

    @property
    def own_id_column(self) -> str:
        """The column that has the IDs: as the user says, else as the producer calls it."""
        if self.id_column is not None:
            return self.id_column
        if DEFAULT_ID_COLUMN in self.columns:
            return DEFAULT_ID_COLUMN
        if self.directory in DUPLICATES_BY_ANY_NAME and len(self.columns) == 1:
            return next(iter(self.columns))
        is_known = self.is_said or len(self.columns) == 1
        return (self.generated_id_column if is_known else None) or DEFAULT_ID_COLUMN

    @property
    def generated_id_column(self) -> str | None:
        """The column of IDs that a producer generates, if there is one."""
        return next((name for name in BY_COLUMN if name in self.columns), None)

    @property
    def group_column(self) -> str | None:
        """The column that is known to tell groups, if there is one beside the IDs."""
        others = (name for name in GROUPS if name != self.id_column)
        return next((name for name in others if name in self.columns), None)

    @property
    def is_pairwise(self) -> bool:
        """Whether it has all columns of pairs."""
        own_id, *others = PAIRWISE_COLUMNS
        return self.columns.keys() >= {*others} and (
            own_id in self.columns or self.id_column in self.columns
        )

    @property
    def shown(self) -> str:
        """The columns, for messages."""
        return ", ".join(list(self.columns)[:20])

    def present(self, name: str, flag: str = ID_FLAG) -> str:
        """Return a column's name if the list has it.

        Raises:
            MissingColumnError: It does not.
        """
        if name not in self.columns:
            raise MissingColumnError.of(self.what, name, list(self.columns), flag)
        return name
