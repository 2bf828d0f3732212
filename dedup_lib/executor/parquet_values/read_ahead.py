"""Read more bytes from a store than are needed now, and keep them for the next request.

A store takes about as long for some kilobytes as for one byte.
"""

from __future__ import annotations

from dedup_lib.executor.parquet_values.column_chunks import ColumnChunk
from dedup_lib.executor.parquet_values.file_slices import FileSlice

# If values are short, several are read at a time. If they are long, little more than the header
# of a page is read.
_SHORT_BYTES = 128 * 1024
_AHEAD_OF_SHORT_BYTES = 1024**2
_AHEAD_OF_LONG_BYTES = 4 * 1024
# A Snappy block has a tag every 64 KB; pages with another codec are read as a whole.
_AHEAD_OF_COMPRESSED_BYTES = 2 * 1024**2


def read_ahead(file: FileSlice, chunk: ColumnChunk) -> FileSlice:
    """Return the bytes of a chunk as a slice that reads ahead."""
    if chunk.codec != "uncompressed":
        ahead_bytes = _AHEAD_OF_COMPRESSED_BYTES
    elif chunk.num_bytes < _SHORT_BYTES * chunk.num_values:
        ahead_bytes = _AHEAD_OF_SHORT_BYTES
    else:
        ahead_bytes = _AHEAD_OF_LONG_BYTES
    return FileSlice(_ReadAhead(file, ahead_bytes), 0, file.num_bytes)


class _ReadAhead:
    def __init__(self, file: FileSlice, ahead_bytes: int) -> None:
        self._file = file
        self._ahead_bytes = ahead_bytes
        self._offset = 0
        self._data = b""

    def __call__(self, offset: int, num_bytes: int) -> bytes:
        start = offset - self._offset
        if start < 0 or start + num_bytes > len(self._data):
            wanted = max(num_bytes, self._ahead_bytes)
            self._offset, self._data, start = offset, self._file.read(offset, wanted), 0
        return self._data[start : start + num_bytes]
