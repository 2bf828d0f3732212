"""Recognise a removal list: its producer, its meaning, and the columns to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from dedup_lib.errors import AmbiguousListError, MissingColumnError
from dedup_lib.lists.refusals import (
    refuse_incomplete_pairs,
    refuse_not_a_list,
    refuse_possible_full_list,
    refuse_possible_groups,
    refuse_two_meanings,
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
    """Recognise the meaning of a list by its columns and the names of its directories.

    Args:
        what: The name of the list or file in messages.
        path: The path of a file, or the path of a table with a slash at the end.
        columns: Spark types by column name.
        kind: The kind that the user gives; None to recognise it.
        id_column: The ID column that the user names; None takes the recognised producer's.

    Raises:
        AmbiguousListError: The list may have several meanings.
        NotAListError: It is not a list of images to remove or to keep.
        MissingColumnError: A necessary column is missing.
    """
    found = FoundList.of(what, path, columns, id_column, is_kind_given=kind is not None)
    shape = _recognise_kind(found) if kind is None else _BY_KIND[kind](found)
    others = tuple(name for name in found.columns if name not in shape.columns)
    return replace(shape, other_columns=others)


def recognise_npy(what: str, kind: ListKind | None) -> ListShape:
    """Return the meaning of .npy files: IDs to keep, unless the user gives another kind.

    Raises:
        MissingColumnError: The user gives a kind that needs more than IDs.
    """
    if kind in ("pairwise", "groups"):
        raise MissingColumnError(
            f"{what} holds only IDs (.npy), not {kind}: {KIND_FLAG} must be keep or remove."
        )
    producer = "DataComp's IDs to keep (.npy)" if kind in (None, "keep") else f"{_PLAIN} (.npy)"
    return ListShape(kind or "keep", producer, ",".join(NPY_FIELDS))


def _recognise_kind(found: FoundList) -> ListShape:
    refuse_two_meanings(found)
    refuse_not_a_list(found)
    if found.is_pairwise:
        return _pairwise(found)
    refuse_incomplete_pairs(found)
    group = found.group_column
    if group is not None and (group != GROUP or len(found.columns) == 2):
        return _groups(found)
    refuse_possible_full_list(found)
    shape = _plain("remove", found)
    refuse_possible_groups(found, shape.id_column)
    return shape


def _plain(kind: ListKind, found: FoundList) -> ListShape:
    id_column = found.likely_id_column
    return ListShape(kind, _producer(found, id_column), found.present(id_column))


def _producer(found: FoundList, id_column: str) -> str:
    if list(found.columns) == [id_column]:
        if found.directory in DUPLICATES_BY_ANY_NAME:
            return DUPLICATES_BY_ANY_NAME[found.directory]
        if (found.directory, id_column) == ("duplicates", DEFAULT_ID_COLUMN):
            return "NeMo Curator's duplicates"
    return BY_COLUMN.get(id_column, _PLAIN)


def _pairwise(found: FoundList) -> ListShape:
    default_id, keeper, score = PAIRWISE_COLUMNS
    return ListShape(
        "pairwise",
        "NeMo Curator's pairwise results",
        found.present(found.id_column or default_id),
        keeper_column=found.present(keeper, KIND_FLAG),
        score_column=found.present(score, KIND_FLAG),
    )


def _groups(found: FoundList) -> ListShape:
    group = found.group_column
    if group is None:
        besides = f" besides the ID column {found.id_column!r}" if found.id_column in GROUPS else ""
        raise MissingColumnError(
            f"{found.what} has no group column{besides}: its name must be "
            f"{' or '.join(GROUPS)} (columns: {found.shown}). Rename the column that names groups; "
            f"or name the ID column with {ID_FLAG}, or another kind with {KIND_FLAG}."
        )
    others = [name for name in found.columns if name != group]
    id_column = found.id_column or (others[0] if len(others) == 1 else found.likely_id_column)
    return ListShape("groups", GROUPS[group], found.present(id_column), group_column=group)


_BY_KIND: dict[ListKind, Callable[[FoundList], ListShape]] = {
    "remove": partial(_plain, "remove"),
    "keep": partial(_plain, "keep"),
    "pairwise": _pairwise,
    "groups": _groups,
}


def check_one_kind(what: str, shapes: Mapping[str, ListShape]) -> ListShape:
    """Check that all files of a list are of the same kind, and return their common shape.

    Args:
        what: The name of the list in messages.
        shapes: The recognised shapes, by path of one file for each schema.

    Raises:
        AmbiguousListError: The files are of different kinds.
    """
    of_kind = {shape.kind: path for path, shape in shapes.items()}
    if len(of_kind) > 1:
        shown = "; ".join(f"{path!r} as {kind}" for kind, path in sorted(of_kind.items()))
        raise AmbiguousListError(
            f"{what} mixes kinds: {shown}. Give the files of each kind as a separate list."
        )
    others = dict.fromkeys(name for shape in shapes.values() for name in shape.other_columns)
    return replace(next(iter(shapes.values())), other_columns=tuple(others))
