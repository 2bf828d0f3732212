"""Find the columns of the image table that a shard can become: one for each suffix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dedup_lib.executor.shards.members import Member
from dedup_lib.executor.shards.sample_ids import text_of_key
from dedup_lib.executor.shards.samples import Sample, Shard, suffix_of

KEY, URL, IMAGE_ID = "__key__", "__url__", "image_id"
# Names with dots before their suffix, such as `v1.5_cat.jpg`, make many suffixes.
MOST_SUFFIXES = 100
_MOST_SUFFIX_BYTES = 100
# Java's arrays, Arrow's columns and Parquet's pages end at 2**31 bytes.
_MOST_VALUE_BYTES = 2 * 10**9
# Delta and older readers of Parquet take no column names with these characters.
_NO_NAME = re.compile(r"[ ,;{}()\n\t=]")


class FoundColumns(NamedTuple):
    """The suffixes in a shard; or why it can't become a table without a loss, else None.

    There are at most `MOST_SUFFIXES` suffixes, and one more if there are too many.
    """

    suffixes: list[str]
    refused: str | None


def find_columns(shard: Shard) -> FoundColumns:
    """Find the columns of a shard by its headers; nothing is read."""
    refused = next(_refusals(shard), None)
    if refused is not None:
        return FoundColumns([], f"shard {shard.layout.source!r} has {refused}")
    suffixes = {suffix_of(member) for sample in shard.samples for member in sample.members}
    return FoundColumns(sorted(suffixes)[: MOST_SUFFIXES + 1], None)


def _refusals(shard: Shard) -> Iterator[str]:
    """Yield what a table can't hold, as the object of a sentence."""
    for member, index in zip(shard.layout.members, shard.sample_indexes, strict=True):
        if index is None and not _is_directory(member):
            yield f"the member {member.name!r}, which belongs to no sample"
    for sample in shard.samples:
        yield from _refusals_of(sample)


def _is_directory(member: Member) -> bool:
    return member.kind == "5" or (member.name.endswith("/") and not member.data_bytes)


def _refusals_of(sample: Sample) -> Iterator[str]:
    if text_of_key(sample.key) is None:
        yield f"the sample {sample.key!r}, whose key is no UTF-8"
    suffixes = set()
    for member in sample.members:
        suffix = suffix_of(member)
        if suffix in suffixes:
            yield f"the sample {sample.key!r}, which has two members with the suffix {suffix!r}"
        suffixes.add(suffix)
        if (reason := _why_no_value(member, suffix)) is not None:
            yield f"the member {member.name!r}, {reason}"


def _why_no_value(member: Member, suffix: str) -> str | None:
    if member.is_link:
        return "which is a link"
    if member.is_sparse:
        return "which is sparse"
    if member.data_bytes > _MOST_VALUE_BYTES:
        return f"which has {member.data_bytes} bytes (at most {_MOST_VALUE_BYTES})"
    is_taken = suffix in (KEY, URL, IMAGE_ID) or _NO_NAME.search(suffix) is not None
    is_long = len(suffix) > _MOST_SUFFIX_BYTES
    if not suffix or is_taken or is_long or text_of_key(suffix) is None:
        return "whose suffix can't be the name of a column"
    return None
