"""The known facts about a removal list: its columns and directories, and its recognised shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from dedup_lib.errors import MissingColumnError
from dedup_lib.settings import DuplicateIds, ListKind, ScoreMeaning
from dedup_lib.settings.values import RELATIONS

DEFAULT_ID_COLUMN = "id"
ID_FLAG = "--duplicate-id-column"
KIND_FLAG = "--list-kind"
PAIRWISE_COLUMNS = ("id", "max_id", "cosine_sim_score")
# Columns, in lower case, that name the image that stays, and have no other meaning.
KEEPERS = frozenset(
    {
        *("duplicate_of", "keeper_id", "kept_id", "original_id", "canonical_id"),
        "representative_id",
    }
)
# Names, in lower case, of a single column whose images may be those that stay.
KEPT = KEEPERS | {"keeper", "keepers", "keep", "kept", "to_keep", "survivor", "survivors", "unique"}
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
# Values of a column of groups or other images that say that there is none, as text: -1 is the noise
# of DBSCAN, and what faiss returns for a missing neighbour. Programs spell NULL in several ways.
NO_GROUP = ("", "-1", "-1.0", "NaN", "nan", "None", "null", "NULL", "<NA>")
# The columns that pandas writes for the row labels of a frame by default.
ROW_LABELS = "__index_level_0__"
_ROW_LABELS = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class ListShape:
    """The recognised shape of a list, or of one of its files.

    Attributes:
        kind: The meaning of the entries.
        producer: The program that writes such lists, in words.
        id_column: The column with the image IDs.
        keeper_column: For pairs, the column with the image that each one duplicates.
        score_column: For pairs, the column with the scores, if there is one.
        score_means: The meaning of a high score.
        group_column: For groups, the column whose value the members of a group share.
        partner_column: For groups that are given as pairs, the column with the other image.
        names_only_duplicates: For pairs, whether each row names an image to remove. Otherwise, a
            row without another image as its keeper names an image that stays.
        other_columns: The columns that are not read.
    """

    kind: ListKind
    producer: str
    id_column: str
    keeper_column: str | None = None
    score_column: str | None = None
    score_means: ScoreMeaning = "similarity"
    group_column: str | None = None
    partner_column: str | None = None
    names_only_duplicates: bool = False
    other_columns: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, the ID column first."""
        others = (self.related_column, self.score_column)
        return (self.id_column, *(column for column in others if column is not None))

    @property
    def has_similarities(self) -> bool:
        """Whether these are pairs with similarities as scores."""
        return self.score_column is not None and self.score_means == "similarity"

    @property
    def related_column(self) -> str | None:
        """The column that says which images are alike: keepers, partners or groups."""
        return self.keeper_column or self.partner_column or self.group_column

    @property
    def other_id_column(self) -> str | None:
        """The column with the other image of a pair; None if these are no pairs."""
        return self.keeper_column or self.partner_column


@dataclass(frozen=True)
class FoundList:
    """A list, or one of its files, before its meaning is recognised.

    Attributes:
        what: The name in messages.
        path: The path of a file, or the path of a table with a slash at the end.
        columns: Spark types by column name.
        asked: What the user says about the list.
    """

    what: str
    path: str
    columns: Mapping[str, str]
    asked: DuplicateIds

    @classmethod
    def of(cls, what: str, path: str, columns: Mapping[str, str], asked: DuplicateIds) -> FoundList:
        """Make the value without the column of row labels that pandas writes."""
        kept = {name: of for name, of in columns.items() if not _ROW_LABELS.fullmatch(name)}
        return cls(what, path, kept, asked)

    @property
    def id_column(self) -> str | None:
        """The ID column that the user names; None if the user names none."""
        return self.asked.id_column

    @property
    def kind(self) -> ListKind | None:
        """The kind that the user gives, also by naming a column; None to recognise it."""
        if self.asked.relations:
            return RELATIONS[self.asked.relations[0]]
        kind = self.asked.kind
        return None if kind is None or kind == "auto" else kind

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
        if len(self.columns) == 1:
            return next(iter(self.columns))
        return (self.generated_id_column if self.asked.is_explained else None) or DEFAULT_ID_COLUMN

    def id_column_beside(self, *others: str | None) -> str:
        """The ID column of groups or pairs: if nothing else tells it, the only column besides."""
        left = [name for name in self.columns if name not in others]
        if self.id_column is None and len(left) == 1:
            return left[0]
        return self.likely_id_column

    @property
    def generated_id_column(self) -> str | None:
        """The column of generated IDs of a known producer; None if there is no such column."""
        return next((name for name in BY_COLUMN if name in self.columns), None)

    @property
    def group_column(self) -> str | None:
        """The group column of a known producer, apart from the ID column; None if it is missing."""
        if len(self.columns) == 1:  # it holds the IDs
            return None
        others = (name for name in GROUPS if name != self.id_column)
        return next((name for name in others if name in self.columns), None)

    @property
    def named_keeper(self) -> str | None:
        """The column whose name says that it holds the images that stay; None without one."""
        if len(self.columns) == 1:  # it holds the IDs
            return None
        others = (name for name in self.columns if name != self.id_column)
        return next((name for name in others if name.lower() in KEEPERS), None)

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
            # What the columns hold is more certain than similar names: see `suggestions`.
            columns = list(self.columns)
            raise MissingColumnError.of(self.what, name, columns, flag, candidates=[])
        return name
