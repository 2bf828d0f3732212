"""Find maps whose keys may be NULL in the schema, which pyarrow does not read.

Hive and Athena write such schemas, although no key is NULL.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dedup_lib.executor.parquet_values import FileSlice
from dedup_lib.executor.parquet_values.column_chunks import read_footer, walk_schema
from dedup_lib.executor.parquet_values.file_slices import UnreadValueError, explain_damage
from dedup_lib.executor.parquet_values.thrift import read_struct

_OPTIONAL = 1
_MAP, _MAP_KEY_VALUE = 1, 2  # converted types
_LOGICAL_MAP = 2


def find_optional_keys(stream: Any) -> str | None:
    """Return the reason why pyarrow can't read a file, if a map with such keys is the reason.

    Args:
        stream: The file, as pyarrow opens it.
    """
    file = FileSlice(lambda offset, num_bytes: stream.read_at(num_bytes, offset), 0, stream.size())
    try:
        with explain_damage():
            column = next(_find_maps(read_struct(read_footer(file), 0)[0][2]), None)
    except UnreadValueError:
        return None
    if column is None:
        return None
    return f"column {column!r} is a map with optional keys, which pyarrow does not read"


def _find_maps(elements: list[dict[int, Any]]) -> Iterator[str]:
    maps: set[tuple[str, ...]] = set()
    seen: set[tuple[str, ...]] = set()
    for path, element in walk_schema(elements):
        is_first, group = path[:-1] not in seen, path[:-2]
        seen.add(path[:-1])
        if element.get(6) in (_MAP, _MAP_KEY_VALUE) or _LOGICAL_MAP in element.get(10, {}):
            maps.add(path)
        if group in maps and is_first and element.get(3) == _OPTIONAL:
            yield ".".join(group)
