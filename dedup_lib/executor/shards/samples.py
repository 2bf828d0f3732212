"""Group the members of a shard into samples by their key."""

from __future__ import annotations

import re
from typing import NamedTuple

from dedup_lib.executor.shards.curator_numbers import curator_numbers
from dedup_lib.executor.shards.members import Layout, Member
from dedup_lib.executor.worker import without_gc

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
    base = name.rfind("/") + 1
    dot = name.find(".", base)
    if dot <= 0:  # there is no dot, or the name begins with it
        return None
    is_disputed = dot == base or (
        "__" in name and (name.startswith("__", base) or _META_FOLDER.match(name) is not None)
    )
    return NameParts(name[:dot], name[dot + 1 :], is_disputed)


def suffix_of(name: str) -> str:
    """Return the suffix in the name of a sample's member, as readers compare it: in lower case."""
    return name.rpartition("/")[2].partition(".")[2].lower()


@without_gc
def group_samples(layout: Layout) -> Shard:
    """Group the members of a shard into samples. Nothing is read.

    *Memory:* about 400 bytes for each member with a short name, with the layout.
    """
    index_by_key: dict[str, int] = {}
    members: list[list[Member]] = []
    images: list[list[int]] = []
    indexes: list[int | None] = []
    seen: set[str] = set()  # keys on which readers disagree, too
    torn: set[str] = set()
    last, index, num_without_key = None, 0, 0
    start = ""  # of the names of the sample before
    numbers = curator_numbers(layout.members)
    for member, number in zip(layout.members, numbers, strict=True):
        name = member.name
        goes_on = start and name.startswith(start) and name.find("/", len(start)) < 0
        if not (goes_on and member.kind == "0"):
            part = split_name(name) if member.is_file or member.is_link else None
            if part is None:
                num_without_key += 1
                indexes.append(None)
                continue
            key, _, is_disputed = part
            if key != last:
                if key in seen:
                    torn.add(key)
                seen.add(key)
                last = key
            start = "" if is_disputed else f"{key}."
            if is_disputed:
                indexes.append(None)
                continue
            index = index_by_key.setdefault(key, len(members))
            if index == len(members):
                members.append([])
                images.append([])
        indexes.append(index)
        members[index].append(member)
        if number is not None:
            images[index].append(number)
    samples = [
        Sample(
            key,
            tuple(own),
            key in torn,
            len(own) > 1 and len({member.name for member in own}) < len(own),
            tuple(own_images),
        )
        for key, own, own_images in zip(index_by_key, members, images, strict=True)
    ]
    return Shard(
        layout,
        tuple(samples),
        tuple(indexes),
        num_without_key,
        num_disputed=indexes.count(None) - num_without_key,
        num_curator_images=len(numbers) - numbers.count(None),
    )
