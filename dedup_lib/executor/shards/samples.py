"""Group the members of a shard into samples by their key."""

from __future__ import annotations

import re
from typing import NamedTuple

from dedup_lib.executor.shards.curator_numbers import curator_numbers
from dedup_lib.executor.shards.members import Layout, Member

_META_FOLDER = re.compile(r"__[^/]*__/")


class NameParts(NamedTuple):
    """A member's name, split at the first dot of its base name.

    Attributes:
        key: The directories, and the base name before that dot.
        suffix: All after that dot, as it is written.
        is_disputed: Whether some readers make a sample of such a name, and others do not.
    """

    key: str
    suffix: str
    is_disputed: bool


class Sample(NamedTuple):
    """All members of a shard that have one key, wherever they lie.

    Attributes:
        key: The key; bytes that are no UTF-8 are surrogates.
        members: The members, in the order of the shard; links are among them.
        is_torn: Whether members with other keys lie between them. Most readers then see several
            samples with one key.
        has_equal_names: Whether two members have the same name.
        curator_numbers: The numbers of the images that Curator takes from it. Most samples have
            one number; a sample without a `jpg` has none; a torn one can have several.
    """

    key: str
    members: tuple[Member, ...]
    is_torn: bool
    has_equal_names: bool
    curator_numbers: tuple[int, ...]


class Shard(NamedTuple):
    """A shard, with its members grouped into samples.

    Attributes:
        layout: The members, and the bytes that belong to none.
        samples: The samples, in the order of their first member; a sample's index is its position
            here.
        sample_indexes: The sample of each member of the layout; None if it belongs to none.
        num_without_key: The members whose name has no key, directories too; they always stay.
        num_disputed: The members whose key readers disagree on; they belong to no sample.
        num_curator_images: The number of images that Curator finds. Numbers that no sample has
            belong to disputed members. Numbers are not sure if a member is sparse.
    """

    layout: Layout
    samples: tuple[Sample, ...]
    sample_indexes: tuple[int | None, ...]
    num_without_key: int
    num_disputed: int
    num_curator_images: int


def split_name(name: str) -> NameParts | None:
    """Split a member's name as WebDataset's readers do; None if it has no key."""
    directories, slash, base = name.rpartition("/")
    first, dot, suffix = base.partition(".")
    if not dot or not (first or slash):
        return None
    is_disputed = not first or base.startswith("__") or _META_FOLDER.match(name) is not None
    return NameParts(directories + slash + first, suffix, is_disputed)


def suffix_of(name: str) -> str:
    """Return the suffix in the name of a sample's member, as readers compare it: in lower case."""
    return name.rpartition("/")[2].partition(".")[2].lower()


def group_samples(layout: Layout) -> Shard:
    """Group the members of a shard into samples. Nothing is read.

    *Memory:* about 400 bytes for each member with a short name, with the layout.
    """
    parts = [_split(member) for member in layout.members]
    keys = [None if part is None or part.is_disputed else part.key for part in parts]
    index_by_key = {key: 0 for key in keys if key is not None}
    index_by_key = {key: index for index, key in enumerate(index_by_key)}
    indexes = tuple(None if key is None else index_by_key[key] for key in keys)
    numbers = curator_numbers(layout.members)
    return Shard(
        layout,
        _make_samples(layout, list(index_by_key), indexes, numbers, _torn_keys(parts)),
        indexes,
        num_without_key=parts.count(None),
        num_disputed=sum(part is not None and part.is_disputed for part in parts),
        num_curator_images=sum(number is not None for number in numbers),
    )


def _split(member: Member) -> NameParts | None:
    return split_name(member.name) if member.is_file or member.is_link else None


def _torn_keys(parts: list[NameParts | None]) -> set[str]:
    """Return the keys that come again after another key."""
    seen: set[str] = set()
    torn: set[str] = set()
    last = None
    for part in parts:
        if part is None or part.key == last:
            continue
        if part.key in seen:
            torn.add(part.key)
        seen.add(part.key)
        last = part.key
    return torn


def _make_samples(
    layout: Layout,
    keys: list[str],
    indexes: tuple[int | None, ...],
    numbers: list[int | None],
    torn: set[str],
) -> tuple[Sample, ...]:
    members: list[list[Member]] = [[] for _ in keys]
    images: list[list[int]] = [[] for _ in keys]
    for member, index, number in zip(layout.members, indexes, numbers, strict=True):
        if index is None:
            continue
        members[index].append(member)
        if number is not None:
            images[index].append(number)
    return tuple(
        Sample(
            key,
            tuple(own),
            is_torn=key in torn,
            has_equal_names=len({member.name for member in own}) < len(own),
            curator_numbers=tuple(own_images),
        )
        for key, own, own_images in zip(keys, members, images, strict=True)
    )
