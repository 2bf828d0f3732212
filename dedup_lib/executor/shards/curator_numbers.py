"""Number the images of a shard as NeMo Curator does, which reads shards with NVIDIA DALI."""

from __future__ import annotations

from collections.abc import Iterable

from dedup_lib.executor.shards.members import Member

_SUFFIX = "jpg"
_FILE_KINDS = frozenset("0\x007")


def curator_numbers(members: Iterable[Member]) -> list[int | None]:
    """Return the number of each member that Curator takes as an image, from 0; None for others.

    DALI makes a sample of files that lie side by side and have one key. It takes the names from
    the plain headers: records of PAX do not count. Only a sample with the suffix `jpg`, in lower
    case, gets a number. If it has several such members, DALI takes the first one.

    Args:
        members: All members of the shard, in order.

    Returns:
        One entry for each member.
    """
    numbers: list[int | None] = []
    run, has_image, next_number = None, False, 0
    for member in members:
        number = None
        name = member.plain_name
        if member.kind in _FILE_KINDS and name:
            dot = name.find(".", name.rfind("/") + 1)
            key = name[:dot] if dot >= 0 else name  # without a dot the name is key and suffix
            if key and key != run:
                run, has_image = key, False
            if key and not has_image and (name[dot + 1 :] == _SUFFIX):
                number, has_image = next_number, True
                next_number += 1
        numbers.append(number)
    return numbers
