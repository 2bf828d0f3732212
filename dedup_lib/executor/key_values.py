"""Keep the key-value metadata of a Parquet file true of a new file with other rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Hugging Face's datasets notes here how the file's pages were cut by their content.
_CHUNKING = b"content_defined_chunking"


def cut_by_content(
    options: Mapping[str, Any], key_values: Mapping[bytes, bytes]
) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """Let pyarrow cut pages by their content, if the metadata says that they are cut so.

    Pages with the same rows then have the same bytes, and some stores keep them only once. If this
    pyarrow can't cut pages as the metadata says, the note is left out.

    Args:
        options: Options of pyarrow's writer.
        key_values: The metadata of a file.

    Returns:
        The options and the metadata of a new file.
    """
    if _CHUNKING not in key_values:
        return dict(options), dict(key_values)
    chunking = {"use_content_defined_chunking": _parse(key_values[_CHUNKING])}
    if _can_write(chunking):
        return {**options, **chunking}, dict(key_values)
    return dict(options), {key: text for key, text in key_values.items() if key != _CHUNKING}


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _can_write(options: Mapping[str, Any]) -> bool:
    """Try options that pyarrow before 21 does not know."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    try:
        pq.write_table(pa.table({"value": [0]}), pa.BufferOutputStream(), **options)
    except (pa.ArrowException, OSError, OverflowError, TypeError, ValueError):
        return False
    return True
