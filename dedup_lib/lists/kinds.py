"""Recognise a removal list: which producer wrote it, what it means, and which columns count."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from dedup_lib.errors import AmbiguousListError, MissingColumnError, NotAListError
from dedup_lib.settings import ListKind

DEFAULT_ID_COLUMN = "id"
ID_FLAG = "--duplicate-id-column"
KIND_FLAG = "--list-kind"
PAIRWISE_COLUMNS = ("id", "max_id", "cosine_sim_score")
NPY_FIELDS = ("f0", "f1")
_PLAIN = "a list of IDs"
_OF_UNIQUE_IDS = ({"dist", "cluster"}, {"cosine_dist_to_cent", "cluster"})
_GROUP = "group"
# Columns that tell groups, and who writes them: all but the last have no other meaning.
_GROUPS = {
    "_hashes": "NeMo Curator 0.x exact duplicates, every member of each group",
    "_duplicate_group_id": "NeMo Curator's connected components, every member of each group",
    _GROUP: "groups, every member of each (NeMo Curator 0.x fuzzy duplicates)",
}
# Directories of lists of one column, which has the name that the user's own ID column has.
_DUPLICATES_BY_ANY_NAME = {
    "ExactDuplicateIds": "NeMo Curator's exact duplicates",
    "FuzzyDuplicateIds": "NeMo Curator's fuzzy duplicates",
}
_BY_COLUMN = {
    "_curator_dedup_id": "NeMo Curator's generated IDs",
    "docs_to_remove": "data-prep-kit's documents to remove",
}
_FLOATS = re.compile(r"(array<)+(float|double)>+|vector")
_EMBEDDINGS = {"embedding", "embeddings"}
_BINARY = re.compile(r"\bbinary\b(?!:)")  # not the name of a field
_ANNOTATED = {"is_duplicate", "kept_image_id"}
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
    columns = {name: of for name, of in columns.items() if not _ROW_LABELS.fullmatch(name)}
    found = _Found(what, path, columns, id_column, is_said=kind is not None)
    shape = _by_its_looks(found) if kind is None else _AS_SAID[kind](found)
    others = tuple(name for name in columns if name not in shape.columns)
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


@dataclass(frozen=True)
class _Found:
    """What is known of a list: its name for messages, path, columns, and what the user says."""

    what: str
    path: str
    columns: Mapping[str, str]
    id_column: str | None
    is_said: bool  # what kind it is

    @property
    def directory(self) -> str:
        """The directory that it is in, past its partitions."""
        above = (part for part in reversed(self.path.split("/")[:-1]) if "=" not in part)
        return next(above, "")

    @property
    def group_column(self) -> str | None:
        others = (name for name in _GROUPS if name != self.id_column)
        return next((name for name in others if name in self.columns), None)

    @property
    def is_pairwise(self) -> bool:
        own_id, *others = PAIRWISE_COLUMNS
        return self.columns.keys() >= {*others} and (
            own_id in self.columns or self.id_column in self.columns
        )

    @property
    def generated_id_column(self) -> str | None:
        return next((name for name in _BY_COLUMN if name in self.columns), None)

    @property
    def shown(self) -> str:
        return ", ".join(list(self.columns)[:20])

    def present(self, name: str, flag: str = ID_FLAG) -> str:
        if name not in self.columns:
            raise MissingColumnError.of(self.what, name, list(self.columns), flag)
        return name


def _by_its_looks(found: _Found) -> ListShape:
    _refuse_what_has_two_meanings(found)
    _refuse_what_is_no_list(found)
    if found.is_pairwise:
        return _pairwise(found)
    _refuse_parts_of_pairs(found)
    group = found.group_column
    if group is not None and (group != _GROUP or len(found.columns) == 2):
        return _groups(found)
    _refuse_what_may_be_all_images(found)
    return _plain("remove", found)


def _plain(kind: ListKind, found: _Found) -> ListShape:
    id_column = found.id_column or _own_id_column(found)
    return ListShape(kind, _producer(found, id_column), found.present(id_column))


def _own_id_column(found: _Found) -> str:
    if DEFAULT_ID_COLUMN in found.columns:
        return DEFAULT_ID_COLUMN
    if found.directory in _DUPLICATES_BY_ANY_NAME and len(found.columns) == 1:
        return next(iter(found.columns))
    is_known = found.is_said or len(found.columns) == 1
    return (found.generated_id_column if is_known else None) or DEFAULT_ID_COLUMN


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
        beside = f" beside the IDs' {found.id_column!r}" if found.id_column in _GROUPS else ""
        raise MissingColumnError(
            f"{found.what} has no column of groups{beside}, which must be called "
            f"{' or '.join(_GROUPS)} (columns: {found.shown}). Rename the one that tells groups; "
            f"or say with {ID_FLAG} which has the IDs, or with {KIND_FLAG} what else they are."
        )
    others = [name for name in found.columns if name != group]
    own_id = found.id_column or (others[0] if len(others) == 1 else _own_id_column(found))
    return ListShape("groups", _GROUPS[group], found.present(own_id), group_column=group)


_AS_SAID: dict[ListKind, Callable[[_Found], ListShape]] = {
    "remove": partial(_plain, "remove"),
    "keep": partial(_plain, "keep"),
    "pairwise": _pairwise,
    "groups": _groups,
}


def _refuse_what_has_two_meanings(found: _Found) -> None:
    is_named = re.search(r"/unique_ids_[^/]*(\.parquet)?(/|$)", found.path) is not None
    has_columns = any(found.columns.keys() >= pair for pair in _OF_UNIQUE_IDS)
    if is_named or (has_columns and not found.is_pairwise):
        raise AmbiguousListError(
            f"{found.what} has two meanings: NeMo Curator up to 0.7.1 wrote the IDs to keep under "
            "this name and with these columns, and from 0.8.0 on the IDs to remove. Say which: "
            f"{KIND_FLAG} keep or {KIND_FLAG} remove."
        )


def _refuse_what_is_no_list(found: _Found) -> None:
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


def _sign(found: _Found) -> tuple[str, str] | None:
    """Tell what something that is no list looks like, and by what."""
    if "/centroid=" in found.path:
        return "k-means results", "directories 'centroid=…'"
    own_id = found.id_column or _own_id_column(found)  # whose type is told apart later
    others = {name: of for name, of in found.columns.items() if name != own_id}
    for looks_like, is_sign in _SIGNS.items():
        for name, of in others.items():
            if is_sign(name, of):
                return looks_like, f"column {name!r} ({of})"
    return None


def _refuse_parts_of_pairs(found: _Found) -> None:
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


def _refuse_what_may_be_all_images(found: _Found) -> None:
    if found.group_column == _GROUP and len(found.columns) > 2:
        raise AmbiguousListError(
            f"{found.what} has a column {_GROUP!r} among others ({found.shown}): it may "
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
