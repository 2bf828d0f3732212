"""Find columns that pyarrow can't read, or that Spark reads wrong."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Any

from dedup_lib.executor.footers import column_chunks
from dedup_lib.executor.parquet_values.thrift import read_struct
from dedup_lib.executor.stores import FileRefusedError

# pyarrow reads no longer header. Other programs write whole images into it, as statistics.
_MOST_HEADER_BYTES = 16 * 1024**2
_USUAL_HEADER_BYTES = 64 * 1024
_DICTIONARY_PAGE = 2
_DELTA = "DELTA_BINARY_PACKED"
_TOO_LONG = re.compile("delta bit width|Unexpected end of stream")
# There are other values than the lengths add up to.
_OTHER_LENGTHS = re.compile("list offsets")


def check_page_headers(metadata: Any, stream: Any) -> None:
    """Check the first pages of a file.

    Args:
        metadata: The footer, as pyarrow reads it.
        stream: The file.

    Raises:
        FileRefusedError: pyarrow can't read the header of a page.

    *Cost:* 64 KB of each column with many bytes.
    """
    if metadata.num_row_groups == 0:
        return
    group = metadata.row_group(0)
    for chunk in (group.column(index) for index in range(metadata.num_columns)):
        if chunk.total_compressed_size <= _MOST_HEADER_BYTES:
            continue
        if _has_long_header(chunk, stream):
            raise FileRefusedError(
                "types",
                f"pyarrow can't read column {chunk.path_in_schema!r}: the header of a page has "
                "more than 16 MB, because it holds whole values as statistics. Spark can read it "
                "(--engine spark)",
            )


def _has_long_header(chunk: Any, stream: Any) -> bool:
    """Tell whether the first page, or the page after a dictionary, has such a header."""
    dictionary, start = chunk.dictionary_page_offset or 0, chunk.data_page_offset
    if 0 < dictionary < start:
        start = dictionary
    for _ in range(2):
        header = _read_header(stream, start)
        if header is None:
            return True
        fields, length = header
        if fields.get(1) != _DICTIONARY_PAGE:
            break
        start += length + fields.get(3, 0)
    return False


def _read_header(stream: Any, offset: int) -> tuple[dict[int, Any], int] | None:
    """Return a page header's fields and length; None if it is too long."""
    for num_bytes in (_USUAL_HEADER_BYTES, _MOST_HEADER_BYTES):
        try:
            return read_struct(stream.read_at(num_bytes, offset), 0)
        except IndexError:
            continue
        except ValueError:  # damaged; the page itself is not read here
            return {}, 0
    return None


def find_misread(file: Any) -> str | None:
    """Find a column where DuckDB stored values for a NULL: rows after it would get them in Spark.

    *Cost:* the nested columns of files by DuckDB are read.
    """
    import pyarrow as pa

    if not _is_by_duckdb(file):
        return None
    nested = (str(field.name) for field in file.schema_arrow if pa.types.is_nested(field.type))
    return _first_failing(file, nested, _OTHER_LENGTHS)


def find_unread(file: Any) -> str | None:
    """Say which 32-bit integers of DuckDB pyarrow can't read: their differences have 33 bits.

    *Cost:* columns with such an encoding, in files by DuckDB, are read.
    """
    if not _is_by_duckdb(file):
        return None
    names = (it.path_in_schema for it in column_chunks(file.metadata) if _is_int32_delta(it))
    if (name := _first_failing(file, dict.fromkeys(names), _TOO_LONG)) is None:
        return None
    return (
        f"pyarrow can't read column {name!r} in {_DELTA}, as DuckDB wrote it; Spark can "
        "(--engine spark)"
    )


def _first_failing(file: Any, columns: Iterable[str], message: re.Pattern[str]) -> str | None:
    """Return the first of some columns that pyarrow refuses with a message; None if it reads all.

    Other errors say nothing here: pyarrow may lack a type or an encoding, or the store an answer.
    """
    import pyarrow as pa

    for name in columns:
        try:
            deque(file.iter_batches(1024, columns=[name], use_threads=False), maxlen=0)
        except (OSError, pa.ArrowException) as error:
            if message.search(str(error)):
                return name
    return None


def _is_int32_delta(chunk: Any) -> bool:
    return chunk.physical_type == "INT32" and _DELTA in chunk.encodings


def _is_by_duckdb(file: Any) -> bool:
    return (file.metadata.created_by or "").startswith("DuckDB")
