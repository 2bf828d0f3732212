"""Refuse tables that are not removal lists, and lists that may have several meanings."""

from __future__ import annotations

import re
from collections.abc import Callable

from dedup_lib.errors import AmbiguousListError, MissingColumnError, NotAListError
from dedup_lib.lists.scores import is_score
from dedup_lib.lists.shape import (
    DEFAULT_ID_COLUMN,
    DUPLICATES_BY_ANY_NAME,
    GROUP,
    GROUPS,
    ID_FLAG,
    KEEPERS,
    KEPT,
    KIND_FLAG,
    PAIRWISE_COLUMNS,
    FoundList,
)

_OF_UNIQUE_IDS = ({"dist", "cluster"}, {"cosine_dist_to_cent", "cluster"})
_FLOATS = re.compile(r"(array<)+(float|double)>+|vector")
_EMBEDDINGS = {"embedding", "embeddings"}
_BINARY = re.compile(r"\bbinary\b(?!:)")  # but not as the name of a field
_ANNOTATED = {"is_duplicate", "kept_image_id"}
# Columns, in lower case, that name groups in the outputs of many programs (GraphFrames, Splink,
# fastdup, …). In the outputs of other programs they mean something else.
_MAYBE_GROUPS = {
    *("component", "component_id", "cluster", "cluster_id", "group_id", "set", "rep"),
    *GROUPS,  # also in another case
}
# Tables that are not lists, and a test on name and Spark type of a column that identifies each.
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
        AmbiguousListError: The list has the name or the columns of such a list.
    """
    is_named = re.search(r"/unique_ids_[^/]*(\.parquet)?(/|$)", found.path) is not None
    has_columns = any(found.columns.keys() >= pair for pair in _OF_UNIQUE_IDS)
    if is_named or (has_columns and not found.is_pairwise):
        raise AmbiguousListError(
            f"{found.what} has two meanings: NeMo Curator up to 0.7.1 wrote the IDs to keep under "
            "this name and with these columns, and since 0.8.0 the IDs to remove. Choose one: "
            f"{KIND_FLAG} keep or {KIND_FLAG} remove."
        )


def refuse_not_a_list(found: FoundList) -> None:
    """Refuse a table with a column or directory that lists of duplicates do not have.

    Raises:
        NotAListError: There is such a column or directory.
    """
    if (sign := _sign(found)) is None:
        return
    looks_like, by = sign
    kinds = ["remove", "keep"]
    kinds += ["groups"] if found.group_column is not None else []
    kinds += ["pairwise"] if found.is_pairwise else []
    flags = " or ".join(f"{KIND_FLAG} {kind}" for kind in kinds)
    raise NotAListError(
        f"{found.what} is not a removal list: by its {by} it looks like {looks_like}, which may "
        "hold every image. Give the list of duplicates, or the pairwise results, made from it; or "
        f"name the kind of all its IDs: {flags}."
    )


def _sign(found: FoundList) -> tuple[str, str] | None:
    """Return what a table looks like if it is not a list, and the sign of it; otherwise None."""
    if "/centroid=" in found.path:
        return "k-means results", "directories 'centroid=…'"
    related = (found.group_column, found.named_keeper)
    known = {found.id_column_beside(*related), *related}  # their types are checked later
    known |= {*PAIRWISE_COLUMNS} if found.is_pairwise else set()
    others = {name: of for name, of in found.columns.items() if name not in known}
    for looks_like, is_sign in _SIGNS.items():
        for name, of in others.items():
            if is_sign(name, of):
                return looks_like, f"column {name!r} ({of})"
    return None


def refuse_incomplete_pairs(found: FoundList) -> None:
    """Refuse a list that has only some columns of pairs.

    Raises:
        AmbiguousListError: Some columns of pairs are missing.
        MissingColumnError: Columns are missing, and the directory is named after pairs.
    """
    default_id, keeper, score = PAIRWISE_COLUMNS
    if found.directory == "pairwise_results":
        raise MissingColumnError(
            f"{found.what} is in a directory of pairwise results, but lacks their columns "
            f"{', '.join(PAIRWISE_COLUMNS)} (columns: {found.shown}). Give NeMo Curator's "
            f"original files; or name the kind of these files with {KIND_FLAG}."
        )
    if not found.columns.keys() & {keeper, score}:
        return
    words = {default_id: f"{default_id!r}", keeper: "keepers", score: "scores"}
    lacking = " and ".join(word for name, word in words.items() if name not in found.columns)
    raise AmbiguousListError(
        f"{found.what} looks like pairs without {lacking} (columns: {found.shown}). Not all "
        f"of these need be duplicates. Give all columns {', '.join(PAIRWISE_COLUMNS)}; or name "
        f"yours: {ID_FLAG}, --keeper-column, --score-column; or, if you mean all of its IDs, name "
        f"their kind: {KIND_FLAG} remove or {KIND_FLAG} keep."
    )


def refuse_two_keepers(found: FoundList) -> None:
    """Refuse a list of which two columns hold images that stay, by their names.

    Raises:
        AmbiguousListError: There are two such columns, and the user names neither.
    """
    named = [name for name in found.columns if name.lower() in KEEPERS and name != found.id_column]
    if len(named) > 1:
        raise AmbiguousListError(
            f"{found.what} has several columns that name an image that stays: {', '.join(named)}. "
            "Say which one: --keeper-column."
        )


def refuse_scores_without_limit(found: FoundList) -> None:
    """Refuse pairs with keepers and scores if the user names no limit for the scores.

    Raises:
        AmbiguousListError: There is a column of scores, and the user names neither column.
    """
    keeper, asked = found.named_keeper, found.asked
    others = {name: of for name, of in found.columns.items() if name != found.id_column}
    scores = (name for name, of in others.items() if is_score(name) or of in ("float", "double"))
    score = next(scores, None)
    if score is not None and asked.score_column is None:
        raise AmbiguousListError(
            f"{found.what} names the image that each one duplicates ({keeper!r}), and has scores "
            f"({score!r}): not all of these need be duplicates. Name the scores and their limit: "
            f"--score-column {score} with --eps for similarities, or with --max-distance for "
            f"distances. Or, if all are duplicates, say so: --keeper-column {keeper}."
        )


def refuse_possible_full_list(found: FoundList) -> None:
    """Refuse IDs that may be only the images to remove, or all images that a producer read.

    Raises:
        AmbiguousListError: Because of another column, both are possible.
    """
    if found.group_column == GROUP and len(found.columns) > 2:
        raise AmbiguousListError(
            f"{found.what} has a column {GROUP!r} among others ({found.shown}): it may "
            "name every member of each group, where one is to stay, or only the members to remove. "
            f"Choose one: {KIND_FLAG} groups or {KIND_FLAG} remove."
        )
    generated = found.generated_id_column
    is_plain = found.id_column is not None or DEFAULT_ID_COLUMN in found.columns
    if generated is not None and len(found.columns) > 1 and not is_plain:
        raise AmbiguousListError(
            f"{found.what} has a column {generated!r} among others ({found.shown}): a list of IDs "
            f"to remove has no other column. Name the kind of the IDs: {KIND_FLAG} remove or "
            f"{KIND_FLAG} keep; {ID_FLAG} names another ID column."
        )


def refuse_possible_groups(found: FoundList, id_column: str) -> None:
    """Refuse a list that may name every member of groups, because another column may name groups.

    Args:
        found: A list that was not recognised as pairs or groups.
        id_column: The column with the IDs.

    Raises:
        AmbiguousListError: There is such a column, in upper or lower case. A partition of the list
            also counts as a column. Or the only column has such a name, or that of keepers.
    """
    is_known = found.id_column is not None or found.directory in DUPLICATES_BY_ANY_NAME
    if id_column.lower() in _MAYBE_GROUPS | KEPT and not is_known:
        raise AmbiguousListError(
            f"{found.what} has only the column {id_column!r}. By its name, it may hold groups, or "
            f"images that stay. If these images are to go, name it: {ID_FLAG} {id_column}."
        )
    others = [name for name in (*found.columns, *found.partition_columns) if name != id_column]
    column = next((name for name in others if name.lower() in _MAYBE_GROUPS), None)
    if column is not None:
        raise AmbiguousListError(
            f"{found.what} has a column {column!r} beside its IDs ({id_column!r}). Such a column "
            "may name the group of duplicates of an ID. A list of all members of groups would "
            f"remove every copy. Name the kind of the IDs: {KIND_FLAG} remove, to remove them all; "
            f"{KIND_FLAG} keep, to keep them all and to remove all others; or "
            f"the groups, to keep one image of each: --group-column {column}."
        )
