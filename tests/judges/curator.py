"""NVIDIA NeMo Curator's own image stages on CPUs, one after the other in one process.

All of it is theirs: how shards are grouped, the reader on DALI, the removal, the writer. Two
things are not. PyTorch, 5 GB, is left out: the reader only asks it whether there is a GPU. And DALI
is told that there is none, for Curator always names the first one.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

torch: Any = types.ModuleType("torch")
torch.cuda = types.SimpleNamespace(is_available=lambda: False)
sys.modules["torch"] = torch

import nvidia.dali  # noqa: E402  # after the stand-in
from loguru import logger  # noqa: E402  # after the stand-in
from nemo_curator.stages.file_partitioning import FilePartitioningStage  # noqa: E402  # after the stand-in
from nemo_curator.stages.image.deduplication.removal import (  # noqa: E402  # after the stand-in
    ImageDuplicatesRemovalStage,
)
from nemo_curator.stages.image.io.image_reader import ImageReaderStage  # noqa: E402  # after the stand-in
from nemo_curator.stages.image.io.image_writer import ImageWriterStage  # noqa: E402  # after the stand-in

del sys.modules["torch"]  # datasets would take it for PyTorch
logger.remove()
pipeline_def = nvidia.dali.pipeline_def
nvidia.dali.pipeline_def = lambda **options: pipeline_def(**options | {"device_id": None})
Image = tuple[str, tuple[int, int], str]  # ID, height and width, SHA-256 of the pixels


def read_tasks(shards: Path, shards_in_a_task: int = 1) -> Iterator[list[Any]]:
    """Read all `jpg` of shards as batches, in the order of Curator's tasks."""
    partition = FilePartitioningStage(
        str(shards), files_per_partition=shards_in_a_task, file_extensions=[".tar"]
    )
    reader = ImageReaderStage(num_threads=2, verbose=False)
    for task in partition.process(None):
        yield reader.process(task)


def read(shards: Path, shards_in_a_task: int = 1) -> list[Any]:
    """Read all batches of all tasks."""
    return [batch for batches in read_tasks(shards, shards_in_a_task) for batch in batches]


def images_in(batches: list[Any]) -> list[Image]:
    """List what is in batches."""
    return [
        (one.image_id, one.image_data.shape[:2], hashlib.sha256(one.image_data).hexdigest())
        for batch in batches
        for one in batch.data
    ]


def write(batches: list[Any], shards: Path) -> None:
    """Write batches as shards, with the Parquet files that Curator puts beside them."""
    writer = ImageWriterStage(str(shards), images_per_tar=8)
    for batch in batches:
        writer.process(batch)


def remove(batches: list[Any], listed: Path) -> list[Image]:
    """List some images' IDs, every third, as Curator does; return which images its stage keeps."""
    ids = [image_id for image_id, *_ in images_in(batches)][::3]
    listed.mkdir(parents=True)
    pq.write_table(pa.table({"id": sorted(ids)}), listed / "0.parquet")
    pq.write_table(pa.table({"id": pa.nulls(0)}), listed / "1.parquet")  # as pandas writes none
    stage = ImageDuplicatesRemovalStage(removal_parquets_dir=str(listed))
    stage.setup()
    return images_in([stage.process(batch) for batch in batches])
