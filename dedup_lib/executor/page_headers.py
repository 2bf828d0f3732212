"""Find Parquet files whose page headers are too long for pyarrow."""

from __future__ import annotations

from typing import Any

from dedup_lib.executor.parquet_values.thrift import read_struct
from dedup_lib.executor.stores import FileRefusedError

# pyarrow reads no longer header. Other programs write whole images into it, as statistics.
_MOST_HEADER_BYTES = 16 * 1024**2
_USUAL_HEADER_BYTES = 64 * 1024
_DICTIONARY_PAGE = 2


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
