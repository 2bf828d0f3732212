"""Recognise a removal list: which producer wrote it, what it means, and which columns count."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from dedup_lib.errors import AmbiguousListError, MissingColumnError, NotAListError
from dedup_lib.settings import ListKind

DEFAULT_ID_COLUMN = "id"
ID_FLAG = "--duplicate-id-column"
KIND_FLAG = "--list-kind"
PAIRWISE_COLUMNS = ("id", "max_id", "cosine_sim_score")
NPY_FIELDS = ("f0", "f1")
_PLAIN = "a list of IDs"
_OF_K_MEANS = {"l2_dist_to_cent", "centroid"}
_OF_EMBEDDINGS = {"embedding", "embeddings"}
_OF_UNIQUE_IDS = ({"dist", "cluster"}, {"cosine_dist_to_cent", "cluster"})
_HASHES = "_hashes"
_GROUP = "group"
_GROUP_COLUMNS = (_HASHES, _GROUP)
# Directories of lists of one column, which has the name that the user's own ID column has.
_DUPLICATES_BY_ANY_NAME = {
    "ExactDuplicateIds": "NeMo Curator's exact duplicates",
    "FuzzyDuplicateIds": "NeMo Curator's fuzzy duplicates",
}
_BY_COLUMN = {
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
    """

    kind: ListKind
    producer: str
    id_column: str
    keeper_column: str | None = None
    score_column: str | None = None
    group_column: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that count, the ID first."""
        others = (self.keeper_column, self.score_column, self.group_column)
        return (self.id_column, *(column for column in others if column is not None))


def recognise(
    what: str,
    path: str,
    columns: Mapping[str, str],
    *,
    kind: ListKind | None,
    id_column: str | None,
) -> ListShape:
    """Tell from its columns, and the names of its directories, what a list means.

    Args:
        what: The list or file, for messages.
        path: Of one of its files; of what is no file, and a slash.
        columns: Its columns: name to type, as Spark spells types.
        kind: What the user says it is; None where it is to be recognised.
        id_column: The ID column that the user names; None takes the recognised producer's.

    Raises:
        AmbiguousListError: It may mean two things, one the opposite of the other.
        NotAListError: It is no list of images to remove or to keep.
        MissingColumnError: A column that it needs is missing.
    """
    columns = {name: of for name, of in columns.items() if not _ROW_LABELS.fullmatch(name)}
    found = _Found(what, path, columns, id_column)
    if kind is not None:
        return _AS_SAID[kind](found)
    if set(columns) >= set(PAIRWISE_COLUMNS):
        return _pairwise(found)
    _refuse_what_is_no_list(found)
    _refuse_what_is_ambiguous(found)
    if found.directory == "pairwise_results":
        raise MissingColumnError(
            f"{what} is in a directory of pairwise results, but has not their columns "
            f"{', '.join(PAIRWISE_COLUMNS)} (columns: {_shown(columns)}). Give NeMo Curator's own "
            f"files; or say with {KIND_FLAG} what these are."
        )
    group = found.group_column
    if group is not None and (group == _HASHES or len(columns) == 2):
        return _groups(found)
    return _plain("remove", found)


def recognise_npy(what: str, kind: ListKind | None) -> ListShape:
    """Tell what .npy files of IDs mean: those to keep, unless the user says otherwise.

    Raises:
        MissingColumnError: The user says what IDs alone can't be.
    """
    if kind in ("pairwise", "groups"):
        raise MissingColumnError(
            f"{what} holds IDs alone (.npy), and no {kind}: {KIND_FLAG} must be keep or remove."
        )
    producer = "DataComp's IDs to keep (.npy)" if kind in (None, "keep") else f"{_PLAIN} (.npy)"
    return ListShape(kind or "keep", producer, ",".join(NPY_FIELDS))


@dataclass(frozen=True)
class _Found:
    """What is known of a list: its name for messages, path, columns, and the ID the user names."""

    what: str
    path: str
    columns: Mapping[str, str]
    id_column: str | None

    @property
    def directory(self) -> str:
        """The directory that it is in, past its partitions."""
        above = (part for part in reversed(self.path.split("/")[:-1]) if "=" not in part)
        return next(above, "")

    @property
    def group_column(self) -> str | None:
        others = (name for name in _GROUP_COLUMNS if name != self.id_column)
        return next((name for name in others if name in self.columns), None)

    def present(self, name: str, flag: str = ID_FLAG) -> str:
        if name not in self.columns:
            raise MissingColumnError.of(self.what, name, list(self.columns), flag)
        return name


def _plain(kind: ListKind, found: _Found) -> ListShape:
    id_column = found.id_column or _own_id_column(found)
    return ListShape(kind, _producer(found, id_column), found.present(id_column))


def _own_id_column(found: _Found) -> str:
    if DEFAULT_ID_COLUMN in found.columns:
        return DEFAULT_ID_COLUMN
    if found.directory in _DUPLICATES_BY_ANY_NAME and len(found.columns) == 1:
        return next(iter(found.columns))
    return next((name for name in _BY_COLUMN if name in found.columns), DEFAULT_ID_COLUMN)


def _producer(found: _Found, id_column: str) -> str:
    if list(found.columns) == [id_column]:
        if found.directory in _DUPLICATES_BY_ANY_NAME:
            return _DUPLICATES_BY_ANY_NAME[found.directory]
        if (found.directory, id_column) == ("duplicates", DEFAULT_ID_COLUMN):
            return "NeMo Curator's duplicates"
    return _BY_COLUMN.get(id_column, _PLAIN)


def _pairwise(found: _Found) -> ListShape:
    own_id, keeper, score = PAIRWISE_COLUMNS
    return ListShape(
        "pairwise",
        "NeMo Curator's pairwise results",
        found.present(found.id_column or own_id),
        keeper_column=found.present(keeper, KIND_FLAG),
        score_column=found.present(score, KIND_FLAG),
    )


def _groups(found: _Found) -> ListShape:
    group = found.group_column
    if group is None:
        raise MissingColumnError.of(found.what, _GROUP, list(found.columns), KIND_FLAG)
    others = [name for name in found.columns if name != group]
    own_id = found.id_column or (others[0] if len(others) == 1 else DEFAULT_ID_COLUMN)
    producer = (
        "NeMo Curator 0.x exact duplicates, every member of each group"
        if group == _HASHES
        else "groups, every member of each (NeMo Curator 0.x fuzzy duplicates)"
    )
    return ListShape("groups", producer, found.present(own_id), group_column=group)


_AS_SAID: dict[ListKind, Callable[[_Found], ListShape]] = {
    "remove": partial(_plain, "remove"),
    "keep": partial(_plain, "keep"),
    "pairwise": _pairwise,
    "groups": _groups,
}


def _refuse_what_is_no_list(found: _Found) -> None:
    columns, names = found.columns, set(found.columns)
    of_arrays = [name for name in names & _OF_EMBEDDINGS if columns[name].startswith("array")]
    if names & _OF_K_MEANS or of_arrays or "/centroid=" in found.path:
        raise NotAListError(
            f"{found.what} is no removal list: its columns ({_shown(columns)}), or directories "
            "'centroid=…', are those of k-means results or embeddings, which hold every image. "
            "Give the directory of duplicates, or of pairwise results; "
            f"{KIND_FLAG} remove takes it for a list all the same."
        )


def _refuse_what_is_ambiguous(found: _Found) -> None:
    is_named = re.search(r"/unique_ids_[^/]*(\.parquet)?(/|$)", found.path) is not None
    others = set(found.columns) - {DEFAULT_ID_COLUMN}
    if is_named or others in _OF_UNIQUE_IDS:
        raise AmbiguousListError(
            f"{found.what} has two meanings: NeMo Curator up to 0.7.1 wrote the IDs to keep under "
            "this name, and from 0.8.0 on the IDs to remove. Say which: "
            f"{KIND_FLAG} keep or {KIND_FLAG} remove."
        )
    if found.group_column == _GROUP and len(found.columns) > 2:
        raise AmbiguousListError(
            f"{found.what} has a column {_GROUP!r} among others ({_shown(found.columns)}): it may "
            "name every member of each group, of which one is to stay, or only those to remove. "
            f"Say which: {KIND_FLAG} groups or {KIND_FLAG} remove."
        )


def _shown(columns: Mapping[str, str]) -> str:
    return ", ".join(list(columns)[:20])


def check_one_kind(what: str, shapes: Mapping[str, ListShape]) -> ListShape:
    """Check that all files of a list are of one kind, and return what they have in common.

    Args:
        what: The list, for messages.
        shapes: What each of its files (one for each schema) was taken for, by path.

    Raises:
        AmbiguousListError: They mean different things.
    """
    of_kind = {shape.kind: path for path, shape in shapes.items()}
    if len(of_kind) > 1:
        shown = "; ".join(f"{path!r} as {kind}" for kind, path in sorted(of_kind.items()))
        raise AmbiguousListError(
            f"{what} mixes kinds: {shown}. Give each kind's files as a list of its own."
        )
    return next(iter(shapes.values()))
