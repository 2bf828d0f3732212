"""Find the columns of the image table that a shard can become: one for each suffix."""

from __future__ import annotations

import re
from typing import NamedTuple

from dedup_lib.executor.shards.members import Member
from dedup_lib.executor.shards.sample_ids import text_of_key
from dedup_lib.executor.shards.samples import Shard, suffix_of

KEY, URL, IMAGE_ID = "__key__", "__url__", "image_id"
# Names with dots before their suffix, such as `v1.5_cat.jpg`, make many suffixes.
MOST_SUFFIXES = 100
_MOST_SUFFIX_CHARACTERS = 100
# Java's arrays, Arrow's columns and Parquet's pages end at 2**31 bytes.
_MOST_VALUE_BYTES = 2 * 10**9
_LINKS = frozenset("12")
# Delta and older readers of Parquet take no column names with these characters.
_NO_NAME = re.compile(r"[ ,;{}()\n\t=]")


class FoundColumns(NamedTuple):
    """The suffixes in a shard; or why it can't become a table without a loss, else None.

    There are at most `MOST_SUFFIXES` suffixes, and one more if there are too many.
    """

    suffixes: list[str]
    refused: str | None


def find_columns(shard: Shard) -> FoundColumns:
    """Find the columns of a shard by its headers; nothing is read.

    *Cost:* about 1 µs for each member.
    """
    suffixes: set[str] = set()
    if (refused := _find(shard, suffixes)) is not None:
        return FoundColumns([], f"shard {shard.layout.source!r} has {refused}")
    return FoundColumns(sorted(suffixes)[: MOST_SUFFIXES + 1], None)


def _find(shard: Shard, suffixes: set[str]) -> str | None:
    """Add the suffixes of all samples; or return what a table can't hold."""
    for member, index in zip(shard.layout.members, shard.sample_indexes, strict=True):
        if index is None and not _is_directory(member):
            return f"the member {member.name!r}, which belongs to no sample"
        if member.kind in _LINKS or member.is_sparse or member.data_bytes > _MOST_VALUE_BYTES:
            return f"the member {member.name!r}, {_why_no_value(member)}"
    for sample in shard.samples:
        own = {suffix_of(member.name): member for member in sample.members}
        if len(own) < len(sample.members):
            return f"the sample {sample.key!r}, which has two members with one suffix"
        if text_of_key(sample.key) is None:
            return f"the sample {sample.key!r}, whose key is no UTF-8"
        for suffix in own.keys() - suffixes:
            if not _is_name(suffix):
                return f"the member {own[suffix].name!r}, whose suffix can't be a column's name"
            suffixes.add(suffix)
    return None


def _is_directory(member: Member) -> bool:
    return member.kind == "5" or (member.name.endswith("/") and not member.data_bytes)


def _why_no_value(member: Member) -> str:
    if member.is_link:
        return "which is a link"
    if member.is_sparse:
        return "which is sparse"
    return f"which has {member.data_bytes} bytes (at most {_MOST_VALUE_BYTES})"


def _is_name(suffix: str) -> bool:
    is_short = 0 < len(suffix) <= _MOST_SUFFIX_CHARACTERS
    is_free = suffix not in (KEY, URL, IMAGE_ID) and not _NO_NAME.search(suffix)
    return is_short and is_free and text_of_key(suffix) is not None
