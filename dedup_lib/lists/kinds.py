"""Recognise a removal list: which producer wrote it, what it means, and which columns count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from dedup_lib.errors import AmbiguousListError, MissingColumnError
from dedup_lib.lists.refusals import (
    refuse_parts_of_pairs,
    refuse_two_meanings,
    refuse_what_is_not_a_list,
    refuse_what_may_be_all_images,
    refuse_what_may_be_groups,
)
from dedup_lib.lists.shape import (
    BY_COLUMN,
    DEFAULT_ID_COLUMN,
    DUPLICATES_BY_ANY_NAME,
    GROUP,
    GROUPS,
    ID_FLAG,
    KIND_FLAG,
    PAIRWISE_COLUMNS,
    FoundList,
    ListShape,
)
from dedup_lib.settings import ListKind

NPY_FIELDS = ("f0", "f1")
_PLAIN = "a list of IDs"


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
        AmbiguousListError: It may mean several things.
        NotAListError: It is no list of images to remove or to keep.
        MissingColumnError: A column that it needs is missing.
    """
    found = FoundList.of(what, path, columns, id_column, is_said=kind is not None)
    shape = _by_its_looks(found) if kind is None else _AS_SAID[kind](found)
    others = tuple(name for name in found.columns if name not in shape.columns)
    return replace(shape, other_columns=others)


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


def _by_its_looks(found: FoundList) -> ListShape:
    refuse_two_meanings(found)
    refuse_what_is_not_a_list(found)
    if found.is_pairwise:
        return _pairwise(found)
    refuse_parts_of_pairs(found)
    group = found.group_column
    if group is not None and (group != GROUP or len(found.columns) == 2):
        return _groups(found)
    refuse_what_may_be_all_images(found)
    shape = _plain("remove", found)
    refuse_what_may_be_groups(found, shape.id_column)
    return shape


def _plain(kind: ListKind, found: FoundList) -> ListShape:
    id_column = found.own_id_column
    return ListShape(kind, _producer(found, id_column), found.present(id_column))


def _producer(found: FoundList, id_column: str) -> str:
    if list(found.columns) == [id_column]:
        if found.directory in DUPLICATES_BY_ANY_NAME:
            return DUPLICATES_BY_ANY_NAME[found.directory]
        if (found.directory, id_column) == ("duplicates", DEFAULT_ID_COLUMN):
            return "NeMo Curator's duplicates"
    return BY_COLUMN.get(id_column, _PLAIN)


def _pairwise(found: FoundList) -> ListShape:
    own_id, keeper, score = PAIRWISE_COLUMNS
    return ListShape(
        "pairwise",
        "NeMo Curator's pairwise results",
        found.present(found.id_column or own_id),
        keeper_column=found.present(keeper, KIND_FLAG),
        score_column=found.present(score, KIND_FLAG),
    )


def _groups(found: FoundList) -> ListShape:
    group = found.group_column
    if group is None:
        beside = f" beside the IDs' {found.id_column!r}" if found.id_column in GROUPS else ""
        raise MissingColumnError(
            f"{found.what} has no column of groups{beside}, which must be called "
            f"{' or '.join(GROUPS)} (columns: {found.shown}). Rename the one that tells groups; "
            f"or say with {ID_FLAG} which has the IDs, or with {KIND_FLAG} what else they are."
        )
    others = [name for name in found.columns if name != group]
    own_id = found.id_column or (others[0] if len(others) == 1 else found.own_id_column)
    return ListShape("groups", GROUPS[group], found.present(own_id), group_column=group)


_AS_SAID: dict[ListKind, Callable[[FoundList], ListShape]] = {
    "remove": partial(_plain, "remove"),
    "keep": partial(_plain, "keep"),
    "pairwise": _pairwise,
    "groups": _groups,
}


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
    others = dict.fromkeys(name for shape in shapes.values() for name in shape.other_columns)
    return replace(next(iter(shapes.values())), other_columns=tuple(others))
