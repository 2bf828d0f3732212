"""Mark the samples of a shard: a new member in each says whether it is a duplicate."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dedup_lib.executor.annotated_rows import IS_DUPLICATE, KEPT_IMAGE_ID
from dedup_lib.executor.shards.header_blocks import BLOCK_BYTES
from dedup_lib.executor.shards.members import Member
from dedup_lib.executor.shards.samples import Sample, suffix_of
from dedup_lib.executor.stores import FileRefusedError

MARK_SUFFIX = "dedup.json"


class NewMember(NamedTuple):
    """A member that a new shard has and the old one has not.

    Attributes:
        start: The offset in the old shard of the byte before which it goes.
        content: Its headers, data and padding.
    """

    start: int
    content: bytes


def make_marks(
    samples: Sequence[Sample],
    removed: Collection[int],
    keepers: Mapping[int, Any],
) -> Iterator[NewMember]:
    """Yield the mark of each sample, which goes after the sample's last member.

    Its name is the key and `.dedup.json`, and `mark_data` says what it holds. Its header is plain
    and always the same: time, owner and group are 0. A long name has GNU's header, because DALI
    does not read that of PAX.

    Args:
        samples: The samples of a shard; `why_unmarkable` found nothing.
        removed: The indexes of the duplicates.
        keepers: The ID of the kept image as bytes, by the index of the duplicate.
    """
    for index, sample in enumerate(samples):
        kept = bytes(keepers.get(index, b"")).decode("utf-8", "surrogateescape")
        data = mark_data(is_duplicate=index in removed, kept_image_id=kept)
        info = tarfile.TarInfo(f"{sample.key}.{MARK_SUFFIX}")
        info.size = len(data)
        headers = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        padding = bytes(-len(data) % BLOCK_BYTES)
        yield NewMember(sample.members[-1].end, headers + data + padding)


def mark_data(*, is_duplicate: bool, kept_image_id: str) -> bytes:
    """Return the data of a mark: a JSON object in ASCII.

    The ID of the kept image is empty without a keeper: Hugging Face's `datasets` takes its types
    from the first five samples, and would refuse a text after five nulls.
    """
    return json.dumps({IS_DUPLICATE: is_duplicate, KEPT_IMAGE_ID: kept_image_id}).encode("ascii")


def why_unmarkable(samples: Sequence[Sample]) -> str | None:
    """Return why a sample can't get a mark, as a sentence without a full stop; None if all can."""
    for sample in samples:
        if (mark := _find_mark(sample)) is not None:
            return f"the sample {sample.key!r} has {mark.name!r} already, which a mark would be"
        if "\0" in sample.key:
            return f"the sample {sample.key!r} has a key that no plain header can hold"
        if sample.is_torn:
            return (
                f"the sample {sample.key!r} has members that lie apart, so most readers would see "
                "a mark in one part of it alone"
            )
    return None


def is_marked(file: Any, sample: Sample) -> bool:
    """Tell whether a sample is marked as a duplicate, by the content of its mark.

    Raises:
        FileRefusedError: The mark can't be read.
    """
    if (mark := _find_mark(sample)) is None:
        return False
    file.seek(mark.data_start)
    try:
        return json.loads(file.read(mark.data_bytes))[IS_DUPLICATE] is True
    except (ValueError, TypeError, KeyError) as error:
        reason = f"the mark {mark.name!r} can't be read: {error!r}"
        raise FileRefusedError("shard", reason) from error


def _find_mark(sample: Sample) -> Member | None:
    return next((one for one in sample.members if suffix_of(one.name) == MARK_SUFFIX), None)
