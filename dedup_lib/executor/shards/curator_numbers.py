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
    run_key, has_image, next_number = None, False, 0
    for member in members:
        numbers.append(None)
        key, suffix = _split_as_dali(member.plain_name)
        if member.kind not in _FILE_KINDS or not key:
            continue
        if key != run_key:
            run_key, has_image = key, False
        if suffix == _SUFFIX and not has_image:
            numbers[-1], has_image = next_number, True
            next_number += 1
    return numbers


def _split_as_dali(name: str) -> tuple[str, str]:
    """Split a name into key and suffix; without a dot the whole name is both."""
    dot = name.find(".", name.rfind("/") + 1)
    return (name, name) if dot < 0 else (name[:dot], name[dot + 1 :])
