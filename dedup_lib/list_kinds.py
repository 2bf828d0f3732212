"""Recognise a removal list: which producer wrote it, what it means, and which columns count."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dedup_lib.errors import AmbiguousListError, MissingColumnError, NotAListError
from dedup_lib.settings import ListKind

DEFAULT_ID_COLUMN = "id"
ID_FLAG = "--duplicate-id-column"
KIND_FLAG = "--list-kind"
PAIRWISE_COLUMNS = ("id", "max_id", "cosine_sim_score")
_OF_K_MEANS = {"l2_dist_to_cent", "centroid"}
_OF_EMBEDDINGS = {"embedding", "embeddings"}
_OF_UNIQUE_IDS = ({"dist", "cluster"}, {"cosine_dist_to_cent", "cluster"})
_GROUP_COLUMNS = ("_hashes", "group")
_CURATOR_ID = "_curator_dedup_id"
_DATA_PREP_KIT_ID = "docs_to_remove"


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
    location: str,
    columns: Mapping[str, str],
    *,
    kind: ListKind | None,
    id_column: str | None,
) -> ListShape:
    """Tell from its columns, and the names of its directories, what a list means.

    Args:
        what: The list or file, for messages.
        location: Its path.
        columns: Its columns: name to type, as Spark spells types.
        kind: What the user says it is; None where it is to be recognised.
        id_column: The ID column that the user names; None takes the recognised producer's.

    Raises:
        AmbiguousListError: It may mean two things, one the opposite of the other.
        NotAListError: It is no list of images to remove or to keep.
        MissingColumnError: A column that it needs is missing.
    """
    if kind is not None:
        return _AS_SAID[kind](what, columns, id_column)
    if set(columns) == set(PAIRWISE_COLUMNS):
        return _pairwise(what, columns, id_column)
    _refuse_what_is_no_list(what, location, columns)
    _refuse_what_is_ambiguous(what, location, columns)
    if len(columns) == 2 and _group_column(columns, id_column) is not None:
        return _groups(what, columns, id_column)
    return _plain("remove", what, columns, id_column)


def _plain(
    kind: ListKind, what: str, columns: Mapping[str, str], id_column: str | None
) -> ListShape:
    producer = "a list of IDs"
    if id_column is None and DEFAULT_ID_COLUMN not in columns:
        for name, its_producer in (
            (_CURATOR_ID, "NeMo Curator's generated IDs"),
            (_DATA_PREP_KIT_ID, "data-prep-kit's documents to remove"),
        ):
            if name in columns:
                id_column, producer = name, its_producer
    return ListShape(kind, producer, _present(what, columns, id_column or DEFAULT_ID_COLUMN))


def _pairwise(what: str, columns: Mapping[str, str], id_column: str | None) -> ListShape:
    own_id, keeper, score = PAIRWISE_COLUMNS
    return ListShape(
        "pairwise",
        "NeMo Curator's pairwise results",
        _present(what, columns, id_column or own_id),
        keeper_column=_present(what, columns, keeper, KIND_FLAG),
        score_column=_present(what, columns, score, KIND_FLAG),
    )


def _groups(what: str, columns: Mapping[str, str], id_column: str | None) -> ListShape:
    group = _group_column(columns, id_column)
    if group is None:
        raise MissingColumnError.of(what, _GROUP_COLUMNS[1], list(columns), KIND_FLAG)
    others = [name for name in columns if name != group]
    own_id = id_column or (others[0] if len(others) == 1 else DEFAULT_ID_COLUMN)
    producer = (
        "NeMo Curator 0.x exact duplicates, every member of each group"
        if group == _GROUP_COLUMNS[0]
        else "groups, every member of each (NeMo Curator 0.x fuzzy duplicates)"
    )
    return ListShape("groups", producer, _present(what, columns, own_id), group_column=group)


def _group_column(columns: Mapping[str, str], id_column: str | None) -> str | None:
    return next((name for name in _GROUP_COLUMNS if name in columns and name != id_column), None)


_AS_SAID: dict[ListKind, Callable[[str, Mapping[str, str], str | None], ListShape]] = {
    "remove": lambda *given: _plain("remove", *given),
    "keep": lambda *given: _plain("keep", *given),
    "pairwise": _pairwise,
    "groups": _groups,
}


def _present(what: str, columns: Mapping[str, str], name: str, flag: str = ID_FLAG) -> str:
    if name not in columns:
        raise MissingColumnError.of(what, name, list(columns), flag)
    return name


def _refuse_what_is_no_list(what: str, location: str, columns: Mapping[str, str]) -> None:
    names = set(columns)
    of_arrays = [name for name in names & _OF_EMBEDDINGS if columns[name].startswith("array")]
    if names & _OF_K_MEANS or of_arrays or re.search(r"/centroid=[^/]*(/|$)", location):
        raise NotAListError(
            f"{what} is no removal list: its columns ({_shown(columns)}) are those of k-means "
            "results or embeddings, which hold every image. Give the directory of duplicates, or "
            f"of pairwise results; {KIND_FLAG} remove takes it for a list all the same."
        )


def _refuse_what_is_ambiguous(what: str, location: str, columns: Mapping[str, str]) -> None:
    is_named = re.search(r"/unique_ids_[^/]*(\.parquet)?(/|$)", location) is not None
    others = set(columns) - {DEFAULT_ID_COLUMN}
    if is_named or others in _OF_UNIQUE_IDS:
        raise AmbiguousListError(
            f"{what} has two meanings: NeMo Curator up to 0.7.1 wrote the IDs to keep under this "
            f"name, and from 0.8.0 on the IDs to remove. Say which: {KIND_FLAG} keep or "
            f"{KIND_FLAG} remove."
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
