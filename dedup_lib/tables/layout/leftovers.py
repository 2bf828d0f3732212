"""Files without rows that other programs leave beside Parquet files: a closed list."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from dedup_lib.locations import name_of
from dedup_lib.session.storage import FileInfo, Storage

Leftover = Literal["img2dataset", "directory marker", "magic committer"]
_DESCRIBED: Mapping[Leftover, str] = {
    "img2dataset": "statistics of img2dataset",
    "directory marker": "empty markers of directories",
    "magic committer": "notes of an unfinished job of S3A's magic committer",
}
_MAGIC = "__magic_job-"
_MARKER = "_$folder$"
_STATS = "_stats.json"
_ENDINGS = (_MARKER, _STATS)
_SHARD_STATS = re.compile(rf"(\d+){re.escape(_STATS)}")
# A glob for all names that do not end with `_stats.json`: Hadoop's globs have no other "not".
_OTHER_ENDINGS = [f"*[^{letter}]{_STATS[at + 1 :]}" for at, letter in enumerate(_STATS)]
_SHORT_NAMES = [_STATS[at:] for at in range(1, len(_STATS))]
NOT_STATS = "{" + ",".join(_OTHER_ENDINGS + _SHORT_NAMES) + "}"
_log = logging.getLogger(__name__)


def find_leftovers(
    location: str, files: Sequence[FileInfo], *, only_empty: bool = False
) -> dict[FileInfo, Leftover]:
    """Find the files of a Parquet directory that another program left, and that hold no rows.

    Args:
        location: The directory.
        files: All files in it.
        only_empty: Whether to find only files that tell nothing that someone could miss.
    """
    suspects = [file for file in files if _MAGIC in file.path or file.path.endswith(_ENDINGS)]
    paths = {file.path for file in files} if suspects else set()
    found = ((file, _leftover(location, file, paths)) for file in suspects)
    return {
        file: leftover
        for file, leftover in found
        if leftover is not None and not (only_empty and leftover == "img2dataset")
    }


def _leftover(location: str, file: FileInfo, paths: set[str]) -> Leftover | None:
    *directories, name = file.path.removeprefix(location).split("/")
    for directory in directories:
        if directory.startswith(_MAGIC):
            has_no_rows = not file.size_bytes or name.endswith((".pending", ".pendingset"))
            return "magic committer" if has_no_rows else None
        if directory.startswith(("_", ".")):
            return None
    if name.endswith(_MARKER) and not file.size_bytes:
        return "directory marker"
    if (stats := _SHARD_STATS.fullmatch(name)) is not None:
        shard = file.path.removesuffix(name) + f"{stats[1]}.parquet"
        return "img2dataset" if shard in paths else None
    return None


def warn_of_leftovers(subject: str, leftovers: Mapping[FileInfo, Leftover]) -> None:
    """Name the files that are passed over: for each kind their number, and an example."""
    if not leftovers:
        return
    of_kind: dict[Leftover, list[str]] = {}
    for file, kind in leftovers.items():
        of_kind.setdefault(kind, []).append(file.path)
    shown = "; ".join(
        f"{len(paths)} ({_DESCRIBED[kind]}), such as {min(paths)!r}"
        for kind, paths in sorted(of_kind.items())
    )
    _log.warning("%s: passed over files that hold no rows: %s", subject, shown)


def delete_magic_directories(storage: Storage, location: str) -> None:
    """Delete what S3A's magic committer left in a written directory, so that it isn't published."""
    (names,) = storage.find_names([location], [f"{_MAGIC}*"])
    for name in names:
        _log.warning("deleting %r, which S3A's magic committer left", f"{location}/{name}")
        storage.delete(f"{location}/{name}")


def is_seen_by_spark(leftover: FileInfo, kind: Leftover) -> bool:
    """Tell whether Spark and Delta would take a leftover for a data file."""
    return kind != "magic committer" and not name_of(leftover.path).startswith(("_", "."))
