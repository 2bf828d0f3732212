"""Read the samples of a shard in the task that writes them, and compare them with the plan."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.file_task import FileTask
from dedup_lib.executor.kept_rows import Bitmap, rows_to_remove
from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.shards.sample_ids import Numbering, find_ids
from dedup_lib.executor.shards.samples import Sample, Shard, group_samples
from dedup_lib.executor.stores import FileRefusedError


class PlannedShard(NamedTuple):
    """A shard, the indexes of its planned samples, and the numbering of its images."""

    shard: Shard
    planned: set[int]
    numbering: Numbering


def read_planned(
    file: Any, task: FileTask, bitmaps: Sequence[Bitmap], id_from: str, first_id: str
) -> PlannedShard:
    """Read the headers of a shard, and check the IDs of its planned samples.

    Args:
        file: The shard, opened as a binary file that can seek.
        task: The shard, as it was planned.
        bitmaps: The planned samples by their index.
        id_from: Where the IDs are, as for `find_ids`.
        first_id: NeMo Curator's first ID in the shard; empty for other IDs.

    Raises:
        FileRefusedError: The shard was changed, or has other IDs than the planned ones.

    *Cost:* the headers; for IDs in JSON also these members of planned samples.
    """
    shard = group_samples(read_layout(file, task.size_bytes, task.source))
    if len(shard.samples) != task.num_rows:
        raise FileRefusedError("changed", f"shard {task.source!r} was changed")
    is_planned = rows_to_remove(bitmaps, task.num_rows).to_pylist()
    planned = [sample for sample, is_in in zip(shard.samples, is_planned, strict=True) if is_in]
    numbering = _numbering_of(shard.samples, first_id)
    _check_ids(task.source, find_ids(file, task.source, planned, id_from, numbering), bitmaps)
    indexes = {index for index, is_in in enumerate(is_planned) if is_in}
    return PlannedShard(shard, indexes, numbering)


def _numbering_of(samples: Sequence[Sample], first_id: str) -> Numbering:
    """Find the numbering of a shard by the first ID in it."""
    prefix, _, number = first_id.rpartition("_")
    own = next((sample.curator_numbers[0] for sample in samples if sample.curator_numbers), 0)
    return Numbering(prefix, int(number) - own if number else 0)


def _check_ids(source: str, ids: Iterator[str | None], bitmaps: Sequence[Bitmap]) -> None:
    """Compare the IDs of the planned samples with the plan, by the sums of their CRC-32."""
    expected = [part.checksum for part in bitmaps if part.checksum is not None]
    if expected and sum(zlib.crc32((one or "").encode()) for one in ids) != sum(expected):
        raise FileRefusedError(
            "ids",
            f"shard {source!r} has samples with other IDs than the plan: it was changed. Nothing "
            "was published. Run again.",
        )
