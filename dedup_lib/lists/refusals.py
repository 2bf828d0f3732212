"""Refuse what is no removal list, and a list that may mean several things."""

from __future__ import annotations

import re
from collections.abc import Callable

from dedup_lib.errors import AmbiguousListError, MissingColumnError, NotAListError
from dedup_lib.lists.shape import (
    DEFAULT_ID_COLUMN,
    GROUP,
    GROUPS,
    ID_FLAG,
    KIND_FLAG,
    PAIRWISE_COLUMNS,
    FoundList,
)

_OF_UNIQUE_IDS = ({"dist", "cluster"}, {"cosine_dist_to_cent", "cluster"})
_FLOATS = re.compile(r"(array<)+(float|double)>+|vector")
_EMBEDDINGS = {"embedding", "embeddings"}
_BINARY = re.compile(r"\bbinary\b(?!:)")  # not the name of a field
_ANNOTATED = {"is_duplicate", "kept_image_id"}
# Columns, in lower case, that name groups in the outputs of many programs (GraphFrames, Splink,
# fastdup, …), and something else in those of others.
_MAYBE_GROUPS = {
    *("component", "component_id", "cluster", "cluster_id", "group_id", "set", "rep"),
    *GROUPS,  # in another case
}
# What is no list looks like, and by which columns: of a name and a type, as Spark spells it.
_SIGNS: dict[str, Callable[[str, str], bool]] = {
    "NeMo Curator's MinHash signatures": lambda name, _: name == "_minhash_signature",
    "NeMo Curator's LSH buckets": lambda name, _: name == "_bucket_id",
    "k-means results": lambda name, _: name == "centroid" or name.endswith("_dist_to_cent"),
    "embeddings": lambda name, of: (
        _FLOATS.fullmatch(of) is not None or (name in _EMBEDDINGS and of.startswith("array"))
    ),
    "an image table": lambda _, of: _BINARY.search(of) is not None,
    "an annotated image table": lambda name, of: of == "boolean" or name in _ANNOTATED,
}


def refuse_two_meanings(found: FoundList) -> None:
    """Refuse a list that one version of its producer writes to keep images, another to remove them.

    Raises:
        AmbiguousListError: It has that name, or those columns.
    """
    is_named = re.search(r"/unique_ids_[^/]*(\.parquet)?(/|$)", found.path) is not None
    has_columns = any(found.columns.keys() >= pair for pair in _OF_UNIQUE_IDS)
    if is_named or (has_columns and not found.is_pairwise):
        raise AmbiguousListError(
            f"{found.what} has two meanings: NeMo Curator up to 0.7.1 wrote the IDs to keep under "
            "this name and with these columns, and from 0.8.0 on the IDs to remove. Say which: "
            f"{KIND_FLAG} keep or {KIND_FLAG} remove."
        )


def refuse_what_is_not_a_list(found: FoundList) -> None:
    """Refuse what has a column or a directory that lists of duplicates do not have.

    Raises:
        NotAListError: It has one.
    """
    if (sign := _sign(found)) is None:
        return
    looks_like, by = sign
    kinds = ["remove", "keep"]
    kinds += ["groups"] if found.group_column is not None else []
    kinds += ["pairwise"] if found.is_pairwise else []
    flags = " or ".join(f"{KIND_FLAG} {kind}" for kind in kinds)
    raise NotAListError(
        f"{found.what} is no removal list: by its {by} it looks like {looks_like}, which may hold "
        "every image. Give the list of duplicates, or the pairwise results, that came of it; or "
        f"say what all of its IDs are: {flags}."
    )


def _sign(found: FoundList) -> tuple[str, str] | None:
    """Tell what something that is no list looks like, and by what."""
    if "/centroid=" in found.path:
        return "k-means results", "directories 'centroid=…'"
    own_id = found.own_id_column  # whose type is told apart later
    others = {name: of for name, of in found.columns.items() if name != own_id}
    for looks_like, is_sign in _SIGNS.items():
        for name, of in others.items():
            if is_sign(name, of):
                return looks_like, f"column {name!r} ({of})"
    return None


def refuse_parts_of_pairs(found: FoundList) -> None:
    """Refuse what has some columns of pairs, but not all.

    Raises:
        AmbiguousListError: It has some of them.
        MissingColumnError: It has none of them, in a directory of pairs.
    """
    own_id, keeper, score = PAIRWISE_COLUMNS
    if found.directory == "pairwise_results":
        raise MissingColumnError(
            f"{found.what} is in a directory of pairwise results, but has not their columns "
            f"{', '.join(PAIRWISE_COLUMNS)} (columns: {found.shown}). Give NeMo Curator's own "
            f"files; or say with {KIND_FLAG} what these are."
        )
    if not found.columns.keys() & {keeper, score}:
        return
    words = {own_id: f"{own_id!r}", keeper: "keepers", score: "scores"}
    lacking = " and ".join(word for name, word in words.items() if name not in found.columns)
    raise AmbiguousListError(
        f"{found.what} looks like pairs without {lacking} (columns: {found.shown}), of which not "
        f"all need be duplicates. Give all of {', '.join(PAIRWISE_COLUMNS)}; or name the ID column "
        f"with {ID_FLAG}; or, if all of its IDs are meant, say what they are: {KIND_FLAG} remove "
        f"or {KIND_FLAG} keep."
    )


def refuse_what_may_be_all_images(found: FoundList) -> None:
    """Refuse IDs that may be those to remove, or all images that a producer looked at.

    Raises:
        AmbiguousListError: A column beside them says that both are possible.
    """
    if found.group_column == GROUP and len(found.columns) > 2:
        raise AmbiguousListError(
            f"{found.what} has a column {GROUP!r} among others ({found.shown}): it may "
            "name every member of each group, of which one is to stay, or only those to remove. "
            f"Say which: {KIND_FLAG} groups or {KIND_FLAG} remove."
        )
    generated = found.generated_id_column
    is_plain = found.id_column is not None or DEFAULT_ID_COLUMN in found.columns
    if generated is not None and len(found.columns) > 1 and not is_plain:
        raise AmbiguousListError(
            f"{found.what} has a column {generated!r} among others ({found.shown}): a list of IDs "
            f"to remove has it alone. Say what they are: {KIND_FLAG} remove or {KIND_FLAG} keep; "
            f"{ID_FLAG} names another ID column."
        )


def refuse_what_may_be_groups(found: FoundList, id_column: str) -> None:
    """Refuse IDs that may be every member of groups, since a column beside them may name groups.

    Args:
        found: The list. It is not recognised as one of pairs or of groups.
        id_column: The column that has the IDs.

    Raises:
        AmbiguousListError: There is such a column, in whatever case. A directory counts as a
            column if it is a partition of the list.
    """
    others = [name for name in (*found.columns, *found.partition_columns) if name != id_column]
    column = next((name for name in others if name.lower() in _MAYBE_GROUPS), None)
    if column is not None:
        raise AmbiguousListError(
            f"{found.what} has a column {column!r} beside its IDs ({id_column!r}). Such a column "
            "may say to which group of duplicates an ID belongs. A list of all members of groups "
            f"would remove every copy. Say what the IDs are: {KIND_FLAG} remove, if each of them "
            f"is to go; {KIND_FLAG} keep, if each is to stay and all others are to go; or "
            f"{KIND_FLAG} groups, if one of each group is to stay: then also rename the column to "
            f"{GROUP!r}."
        )
