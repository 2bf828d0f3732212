"""The known facts about a removal list: its columns and directories, and its recognised shape."""

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
# Columns that name groups, with their producers. All but the last have no other meaning.
GROUPS = {
    "_hashes": "NeMo Curator 0.x exact duplicates, every member of each group",
    "_duplicate_group_id": "NeMo Curator's connected components, every member of each group",
    GROUP: "groups, every member of each (NeMo Curator 0.x fuzzy duplicates)",
}
# Directories of lists with one column. It has the same name as the user's ID column.
DUPLICATES_BY_ANY_NAME = {
    "ExactDuplicateIds": "NeMo Curator's exact duplicates",
    "FuzzyDuplicateIds": "NeMo Curator's fuzzy duplicates",
}
BY_COLUMN = {
    "_curator_dedup_id": "NeMo Curator's generated IDs",
    "docs_to_remove": "data-prep-kit's documents to remove",
}
# Values of a group column that say that a row belongs to no group: -1 is the noise of DBSCAN.
NO_GROUP = ("", "-1", "-1.0")
# The column that pandas writes for the row labels of a frame by default.
_ROW_LABELS = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class ListShape:
    """The recognised shape of a list, or of one of its files.

    Attributes:
        kind: The meaning of the entries.
        producer: The program that writes such lists, in words.
        id_column: The column with the image IDs.
        keeper_column: For pairs, the column with the image that each one duplicates.
        score_column: For pairs, the column with the similarity.
        group_column: For groups, the column whose value the members of a group share.
        other_columns: The columns that are not read.
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
        """All columns that are read, the ID column first."""
        others = (self.keeper_column, self.score_column, self.group_column)
        return (self.id_column, *(column for column in others if column is not None))


@dataclass(frozen=True)
class FoundList:
    """A list, or one of its files, before its meaning is recognised.

    Attributes:
        what: The name in messages.
        path: The path of a file, or the path of a table with a slash at the end.
        columns: Spark types by column name.
        id_column: The ID column that the user names; None if the user names none.
        is_kind_given: Whether the user gives the kind of the list.
    """

    what: str
    path: str
    columns: Mapping[str, str]
    id_column: str | None
    is_kind_given: bool

    @classmethod
    def of(
        cls,
        what: str,
        path: str,
        columns: Mapping[str, str],
        id_column: str | None,
        is_kind_given: bool,
    ) -> FoundList:
        """Make the value without the column of row labels that pandas writes."""
        kept = {name: of for name, of in columns.items() if not _ROW_LABELS.fullmatch(name)}
        return cls(what, path, kept, id_column, is_kind_given)

    @property
    def directory(self) -> str:
        """The name of the innermost directory that is not a partition."""
        above = (part for part in reversed(self.path.split("/")[:-1]) if "=" not in part)
        return next(above, "")

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """The partition columns in the directory names, the innermost first."""
        above = takewhile(lambda part: "=" in part, reversed(self.path.split("/")[:-1]))
        return tuple(part.partition("=")[0] for part in above)

    @property
    def likely_id_column(self) -> str:
        """The ID column: the one that the user names, else the one of the recognised producer."""
        if self.id_column is not None:
            return self.id_column
        if DEFAULT_ID_COLUMN in self.columns:
            return DEFAULT_ID_COLUMN
        if self.directory in DUPLICATES_BY_ANY_NAME and len(self.columns) == 1:
            return next(iter(self.columns))
        is_known = self.is_kind_given or len(self.columns) == 1
        return (self.generated_id_column if is_known else None) or DEFAULT_ID_COLUMN

    @property
    def generated_id_column(self) -> str | None:
        """The column of generated IDs of a known producer; None if there is no such column."""
        return next((name for name in BY_COLUMN if name in self.columns), None)

    @property
    def group_column(self) -> str | None:
        """The group column of a known producer, apart from the ID column; None if it is missing."""
        others = (name for name in GROUPS if name != self.id_column)
        return next((name for name in others if name in self.columns), None)

    @property
    def is_pairwise(self) -> bool:
        """Whether the list has all columns of pairs."""
        default_id, *others = PAIRWISE_COLUMNS
        return self.columns.keys() >= {*others} and (
            default_id in self.columns or self.id_column in self.columns
        )

    @property
    def shown(self) -> str:
        """The column names, for messages."""
        return ", ".join(list(self.columns)[:20])

    def present(self, name: str, flag: str = ID_FLAG) -> str:
        """Return a column's name if the list has it.

        Raises:
            MissingColumnError: The list does not have the column.
        """
        if name not in self.columns:
            raise MissingColumnError.of(self.what, name, list(self.columns), flag)
        return name
