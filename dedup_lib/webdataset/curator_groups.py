"""Find out from the removal lists how many shards NeMo Curator read in a task."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import functions as F

from dedup_lib.errors import AmbiguousListError
from dedup_lib.executor.shards.sample_ids import CURATOR, is_by_position, prefix_of
from dedup_lib.session import file_tasks
from dedup_lib.session.storage import FileInfo
from dedup_lib.tables.id_table import WantedIds

_NUMBER = r"_[0-9]{6,}\z"
_GROUP = re.compile(r"group_.+_x([1-9][0-9]{0,8})", re.DOTALL)
_SHOWN = 3
_log = logging.getLogger(__name__)


def with_listed_groups(location: str, shards: Sequence[FileInfo], wanted: WantedIds) -> WantedIds:
    """Complete `curator` by the size of groups that the lists name, as in `curator:4`.

    A listed ID begins with the name of a shard, or of a group of shards with its size. Only the
    last group may be smaller than the others, so the largest size is that of all groups. A kept
    plan says the size itself.

    Args:
        location: The location of the image table.
        shards: The shards, in the order of their paths.
        wanted: Where the IDs are; `curator:N` and others are returned as they are.

    Raises:
        AmbiguousListError: A listed ID begins with something else than a shard or a group.

    *Cost:* one scan of the lists' IDs.
    """
    if wanted.id_from != CURATOR:
        return wanted
    if (planned := wanted.planned_from()) is not None and is_by_position(planned):
        return replace(wanted, id_from=planned)
    if (listed := wanted.listed_ids()) is None:
        return wanted
    prefix = F.regexp_replace("image_id", _NUMBER, "").alias("prefix")
    rows = listed.where("image_id IS NOT NULL").select(prefix).distinct().limit(len(shards) + 1)
    prefixes = sorted(row["prefix"] for row in rows.collect())
    size = max(map(_size_of, prefixes), default=1)
    _check(location, shards, prefixes, size)
    if size == 1:
        return wanted
    _log.info("as the lists' IDs say, NeMo Curator read %d shards in a task", size)
    return replace(wanted, id_from=f"{CURATOR}:{size}")


def _size_of(prefix: str) -> int:
    found = _GROUP.fullmatch(prefix)
    return int(found[1]) if found else 1


def _check(location: str, shards: Sequence[FileInfo], prefixes: Sequence[str], size: int) -> None:
    files = file_tasks.below(file_tasks.common_directory(shards), shards)
    starts = range(0, len(files), size)
    groups = [prefix_of(files[start : start + size]) for start in starts]
    known = set(groups)
    if (other := next((one for one in prefixes if one not in known), None)) is not None:
        more = ", …" if len(groups) > _SHOWN else ""
        raise AmbiguousListError(
            f"listed IDs begin with {other!r}, but those of the shards in {location!r}, in the "
            f"order of their paths and {size} in a task, begin with "
            f"{', '.join(map(repr, groups[:_SHOWN]))}{more}. If the list is for these shards, say "
            "how many of them NeMo Curator read in a task: --image-id-from curator:N. A list that "
            "was made with its blocksize, or for shards in another order, can't be used. If it "
            "holds keys, use --image-id-from key."
        )
