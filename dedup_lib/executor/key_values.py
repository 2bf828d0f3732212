"""Keep the key-value metadata of a Parquet file true of a new file with other rows."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

# Hugging Face's datasets notes here how the file's pages were cut by their content.
_CHUNKING = b"content_defined_chunking"
_PANDAS = b"pandas"
# The schema with Arrow's types. It has metadata of its own, which some readers prefer.
ARROW_SCHEMA = b"ARROW:schema"


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


def fit_to_rows(key_values: Mapping[bytes, bytes], num_rows: int) -> dict[bytes, bytes]:
    """Let the index that pandas noted have as many labels as a new file has rows.

    Labels that only number the rows go on to do so. Other labels are left out, because they would
    name other rows than before.

    Args:
        key_values: The metadata of a file.
        num_rows: The number of rows of the new file.
    """
    fitted = _fit_index(key_values, num_rows)
    if _PANDAS in fitted and ARROW_SCHEMA in fitted:
        fitted[ARROW_SCHEMA] = _fit_schema(fitted[ARROW_SCHEMA], num_rows)
    return fitted


def _fit_index(key_values: Mapping[bytes, bytes], num_rows: int) -> dict[bytes, bytes]:
    note = _parse(key_values.get(_PANDAS, b""))
    index = note.get("index_columns") if isinstance(note, dict) else None
    if not isinstance(index, list) or all(_has_length(column, num_rows) for column in index):
        return dict(key_values)
    numbered = [
        column | {"stop": num_rows} if _is_range(column) else column
        for column in index
        if not _is_range(column) or (column.get("start"), column.get("step")) == (0, 1)
    ]
    return {**key_values, _PANDAS: json.dumps(note | {"index_columns": numbered}).encode()}


def _is_range(column: Any) -> bool:
    return isinstance(column, dict) and column.get("kind") == "range"


def _has_length(column: Any, num_rows: int) -> bool:
    """Tell whether a column of the index has that many labels; one that is in the file has."""
    if not _is_range(column):
        return True
    try:
        return len(range(column["start"], column["stop"], column["step"])) == num_rows
    except (KeyError, OverflowError, TypeError, ValueError):
        return False


def _fit_schema(text: bytes, num_rows: int) -> bytes:
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
    metadata = schema.metadata or {}
    fitted = _fit_index(metadata, num_rows)
    return text if fitted == metadata else serialise(schema.with_metadata(fitted))


def serialise(schema: Any) -> bytes:
    """Serialise a schema as pyarrow stores it in the metadata of Parquet files."""
    return base64.b64encode(schema.serialize().to_pybytes())


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
