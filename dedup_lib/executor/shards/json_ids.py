"""Read the ID of a sample from its JSON member."""

from __future__ import annotations

import json
from typing import Any

from dedup_lib.executor.shards.samples import Sample, suffix_of


def read_json_id(file: Any, sample: Sample, field: str) -> str | None:
    """Return a field of a sample's JSON as text: a string as it is, an integer as it is written.

    If the field is repeated, the last one counts.

    Args:
        file: The shard, opened as a binary file that can seek.
        sample: The sample.
        field: The name of a field of the JSON object.

    Returns:
        The ID; None if there is no JSON member, or more than one, or it is a link, sparse or no
        JSON object, or the field is missing or has another type.

    *Cost:* the bytes of the JSON member.
    """
    members = [member for member in sample.members if suffix_of(member.name) == "json"]
    if len(members) != 1 or members[0].is_sparse:
        return None
    file.seek(members[0].data_start)
    try:
        value = json.loads(file.read(members[0].data_bytes), parse_int=str)[field]
        # A lone surrogate can't be encoded: no table could hold such an ID.
        return str.encode(value).decode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
