"""Recognise a removal list: its producer, its meaning, and the columns to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from dedup_lib.errors import AmbiguousListError, MissingColumnError, SettingsError
from dedup_lib.lists.refusals import (
    refuse_incomplete_pairs,
    refuse_not_a_list,
    refuse_possible_full_list,
    refuse_possible_groups,
    refuse_scores_without_limit,
    refuse_two_keepers,
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
from dedup_lib.settings import DuplicateIds, ListKind
from dedup_lib.settings.values import flag_of

NPY_FIELDS = ("f0", "f1")
_PLAIN = "a list of IDs"
_GROUPS = "groups, every member of each"


def recognise(
    what: str,
    path: str,
    columns: Mapping[str, str],
    asked: DuplicateIds,
) -> ListShape:
    """Recognise the meaning of a list by its columns and the names of its directories.

    Args:
        what: The name of the list or file in messages.
        path: The path of a file, or the path of a table with a slash at the end.
        columns: Spark types by column name.
        asked: What the user says about the list.

    Raises:
        AmbiguousListError: The list may have several meanings.
        NotAListError: It is not a list of images to remove or to keep.
        MissingColumnError: A necessary column is missing.
        SettingsError: The user names one column for several things.
    """
    found = FoundList.of(what, path, columns, asked)
    shape = _recognise_kind(found) if found.kind is None else _BY_KIND[found.kind](found)
    if len(set(shape.columns)) < len(shape.columns):
        raise SettingsError(
            f"{what}: one column can't hold several things ({', '.join(shape.columns)}): name "
            "other columns."
        )
    others = tuple(name for name in found.columns if name not in shape.columns)
    return replace(shape, other_columns=others)


def recognise_npy(what: str, asked: DuplicateIds) -> ListShape:
    """Return the meaning of .npy files: IDs to keep, unless the user gives another kind.

    Raises:
        MissingColumnError: The user gives a kind that needs more than IDs.
    """
    kind = FoundList(what, "", {}, asked).kind or "keep"
    if kind in ("pairwise", "groups"):
        raise MissingColumnError(
            f"{what} holds only IDs (.npy), not {kind}: {KIND_FLAG} must be keep or remove."
        )
    producer = "DataComp's IDs to keep (.npy)" if kind == "keep" else f"{_PLAIN} (.npy)"
    return ListShape(kind, producer, ",".join(NPY_FIELDS))


def _recognise_kind(found: FoundList) -> ListShape:
    refuse_two_meanings(found)
    refuse_not_a_list(found)
    if found.is_pairwise:
        return _pairwise(found)
    refuse_incomplete_pairs(found)
    group = found.group_column
    if group is not None and (group != GROUP or len(found.columns) == 2):
        return _groups(found)
    if found.named_keeper is not None:
        return _pairwise(found)
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
    named = found.asked.keeper_column or found.named_keeper
    if named is not None and (found.asked.keeper_column or not found.is_pairwise):
        if found.asked.keeper_column is None:
            refuse_two_keepers(found)
            refuse_scores_without_limit(found)
        score_column = _score(found)
        id_column = found.id_column_beside(named, score_column)
        return ListShape(
            "pairwise",
            f"images and those that they duplicate ({named})",
            found.present(id_column),
            keeper_column=found.present(named, flag_of("keeper_column")),
            score_column=score_column,
        )
    return ListShape(
        "pairwise",
        "NeMo Curator's pairwise results",
        found.present(found.id_column or default_id),
        keeper_column=found.present(keeper, flag_of("keeper_column")),
        score_column=found.present(found.asked.score_column or score, flag_of("score_column")),
        names_only_duplicates=True,
    )


def _score(found: FoundList) -> str | None:
    """Return the score column: the one that the user names, else NeMo Curator's if it is there."""
    *_, default = PAIRWISE_COLUMNS
    if found.asked.score_column is not None:
        return found.present(found.asked.score_column, flag_of("score_column"))
    return default if default in found.columns else None


def _groups(found: FoundList) -> ListShape:
    if found.asked.partner_column is not None:
        return _partners(found, found.asked.partner_column)
    group = found.asked.group_column or found.group_column
    if group is None and len(found.columns) == 2 and found.likely_id_column in found.columns:
        group = next(name for name in found.columns if name != found.likely_id_column)
    if group is None:
        besides = f" besides the ID column {found.id_column!r}" if found.id_column in GROUPS else ""
        raise MissingColumnError(
            f"{found.what} has no column that is known to name groups{besides} (columns: "
            f"{found.shown}). Name it with {flag_of('group_column')}; or name the ID column with "
            f"{ID_FLAG}, or another kind with {KIND_FLAG}."
        )
    group = found.present(group, flag_of("group_column"))
    id_column = found.present(found.id_column_beside(group))
    return ListShape("groups", GROUPS.get(group, _GROUPS), id_column, group_column=group)


def _partners(found: FoundList, partner: str) -> ListShape:
    score_column = _score(found)
    return ListShape(
        "groups",
        "pairs of images that are alike",
        found.present(found.id_column_beside(partner, score_column)),
        partner_column=found.present(partner, flag_of("partner_column")),
        score_column=score_column,
    )


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
    columns = {shape.columns: path for path, shape in shapes.items()}
    if len(columns) > 1:
        shown = "; ".join(f"{path!r} has {', '.join(names)}" for names, path in columns.items())
        raise AmbiguousListError(
            f"{what}: its files have their IDs in other columns: {shown}. Name one with {ID_FLAG}, "
            "or give the files of each kind as a separate list."
        )
    others = dict.fromkeys(name for shape in shapes.values() for name in shape.other_columns)
    return replace(next(iter(shapes.values())), other_columns=tuple(others))
