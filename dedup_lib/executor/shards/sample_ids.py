"""Find the IDs of the samples of a shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.shards.json_ids import read_json_id
from dedup_lib.executor.shards.metadata_files import read_metadata_ids
from dedup_lib.executor.shards.samples import Sample
from dedup_lib.executor.stores import FileRefusedError

_JSON_PREFIX = "json:"
_METADATA_PREFIX = "parquet:"
CURATOR = "curator"


class Numbering(NamedTuple):
    """What NeMo Curator's IDs of a shard begin with, and the number of its first image."""

    prefix: str
    first: int


def is_by_position(id_from: str) -> bool:
    """Tell whether IDs are NeMo Curator's numbers."""
    return id_from.partition(":")[0] == CURATOR


def is_in_metadata(id_from: str) -> bool:
    """Tell whether IDs are in the metadata files beside the shards."""
    return id_from.startswith(_METADATA_PREFIX)


def group_size(id_from: str) -> int:
    """Return how many shards NeMo Curator read in a task; 1 for other IDs."""
    number = id_from.partition(":")[2]
    return int(number) if is_by_position(id_from) and number else 1


def prefix_of(group: Sequence[SourceFile]) -> str:
    """Return what NeMo Curator's IDs of a task's images begin with, without the last `_`."""
    stem = group[0].path.rpartition("/")[2].rpartition(".")[0]
    return stem if len(group) == 1 else f"group_{stem}_x{len(group)}"


def find_ids(
    file: Any,
    source: str,
    samples: Sequence[Sample],
    id_from: str,
    numbering: Numbering,
    *,
    options: Mapping[str, str],
) -> Iterator[str | None]:
    """Yield the ID of each sample; None if it has no ID, or one that is no UTF-8.

    Args:
        file: The shard, opened as a binary file that can seek.
        source: The URI of the shard.
        samples: The samples.
        id_from: `key`, `json:FIELD`, `parquet:FIELD`, `curator`, or `curator:N`.
        numbering: What NeMo Curator's IDs begin with, and the number of the shard's first image.
        options: Options for pyarrow's file systems, except the local one.

    Raises:
        FileRefusedError: Curator's numbers do not name the samples without doubt; or the metadata
            file is missing or does not tell the IDs.
    """
    if is_in_metadata(id_from):
        known = read_metadata_ids(source, id_from.removeprefix(_METADATA_PREFIX), options)
        yield from (known.get(sample.key) for sample in samples)
        return
    for sample in samples:
        if id_from.startswith(_JSON_PREFIX):
            yield read_json_id(file, sample, id_from.removeprefix(_JSON_PREFIX))
        elif is_by_position(id_from):
            yield _curator_id(source, sample, numbering)
        else:
            yield text_of_key(sample.key)


def _curator_id(source: str, sample: Sample, numbering: Numbering) -> str | None:
    numbers = sample.curator_numbers
    if any(member.is_sparse for member in sample.members):
        raise _doubtful(source, sample, "is sparse")
    if len(numbers) > 1 or (numbers and sample.is_torn):
        raise _doubtful(source, sample, "has members that lie apart")
    if not numbers:
        return None
    return text_of_key(f"{numbering.prefix}_{numbering.first + numbers[0]:06d}")


def _doubtful(source: str, sample: Sample, reason: str) -> FileRefusedError:
    return FileRefusedError(
        "shard",
        f"shard {source!r} has the sample {sample.key!r}, which {reason}: NeMo Curator's numbers "
        "do not name its samples without doubt. Use the keys (--image-id-from key)",
    )


def text_of_key(key: str) -> str | None:
    """Return a key as text; None if it is no UTF-8."""
    try:
        return key.encode().decode()
    except UnicodeEncodeError:
        return None
