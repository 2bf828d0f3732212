"""What each judge must find in an output: its own view of the input, without some samples."""

from __future__ import annotations

import posixpath
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Found = list[dict[str, Any]]
Read = dict[str, Found]


class DifferenceError(Exception):
    """A judge found something else; the message says what."""


@dataclass(frozen=True)
class Removal:
    """What a run must have removed.

    Attributes:
        keys: The keys of samples.
        kept: The images that Curator's stage keeps, in its order, as IDs, sizes and digests of
            pixels; None if it was not asked.
    """

    keys: Collection[str]
    kept: Sequence[Any] | None = None


def removal_by_curator(read: Read, kept: Sequence[Any]) -> Removal:
    """Find the keys of the images that Curator's stage does not keep: pictures differ in size."""
    sizes = {tuple(size) for _, size, _ in kept}
    seen = [tuple(one["size"]) for one in read["DALI"]]
    gone = set(seen) - sizes
    if len(set(seen)) != len(seen) or len(seen) != len(gone) + len(kept):
        raise DifferenceError("two pictures have one size: they can't be told apart")
    samples = read["webdataset"]
    keys = {one["key"] for one in samples if one["size"] and tuple(one["size"]) in gone}
    return Removal(keys, kept)


def check(removal: Removal, num_removed: int, before: Read, after: Read) -> None:
    """Compare what each judge found in the output with what must be there, one by one.

    Args:
        removal: What must be gone.
        num_removed: How many samples the job says that it removed.
        before: What the judges found in the input.
        after: What they found in the output.

    Raises:
        DifferenceError: A sample is lost, changed, in another place, or should be gone.
    """
    if num_removed != len(removal.keys):
        raise DifferenceError(f"{num_removed} samples removed, expected {len(removal.keys)}")
    by_size = {tuple(one["size"] or ()): one["key"] for one in before["webdataset"]}
    for judge, found in after.items():
        expected = []
        for one in before[judge]:
            key = one["key"] if "key" in one else by_size[tuple(one["size"])]
            if key not in removal.keys:
                expected.append(one)
        _compare(judge, _without_ids(found), _without_ids(expected))
    if removal.kept is not None:
        kept = [{"size": size, "pixels": pixels} for _, size, pixels in removal.kept]
        _compare("Curator", _without_ids(after["DALI"]), kept)


def listed_by_tar(directory: Path) -> Found:
    """What `tar -tv` says of each member: mode, owner, size, time and name."""
    found = []
    for path in sorted(directory.glob("*.tar")):
        command = ["tar", "--numeric-owner", "--full-time", "-tvf", str(path)]
        listed = subprocess.run(command, check=True, capture_output=True, text=True)
        if listed.stderr:
            raise DifferenceError(f"tar says of {path}: {listed.stderr}")
        for line in listed.stdout.splitlines():
            facts = line.split(maxsplit=5)  # the width of columns depends on other members
            found.append({"shard": path.name, "key": _key(facts[5]), "facts": facts})
    return found


def _key(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _without_ids(found: Found) -> Found:
    """Leave Curator's IDs out: in an output they are others."""
    return [{name: value for name, value in one.items() if name != "id"} for one in found]


def _compare(judge: str, found: Found, expected: Found) -> None:
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            raise DifferenceError(f"{judge}, number {number}: found {one}, expected {other}")
    if len(found) != len(expected):
        raise DifferenceError(f"{judge} found {len(found)}, expected {len(expected)}")
