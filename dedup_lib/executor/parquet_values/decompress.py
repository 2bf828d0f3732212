"""Decompress a page as a whole, and check that it has as many bytes as its header says."""

from __future__ import annotations

from contextlib import suppress

from dedup_lib.executor.parquet_values.file_slices import UnreadValueError, slice_of_bytes
from dedup_lib.executor.parquet_values.snappy import SnappySlices

FALSE_LENGTH = "its file is damaged: a page is not as long as it says"
# pyarrow decompresses these codecs as a stream, and so finds their end.
_STREAMED = {"gzip", "zstd", "brotli"}
_BY_PYARROW = {*_STREAMED, "snappy", "lz4_raw"}


def decompress(codec: str, stored: bytes, num_bytes: int) -> bytes:
    """Decompress a block to `num_bytes` bytes.

    Snappy needs no library, but is faster with pyarrow; the other codecs need pyarrow.

    Raises:
        UnreadValueError: The codec can't be read here, or the block has another length.
    """
    if codec == "uncompressed":
        return stored
    try:
        import pyarrow as pa
    except ImportError as error:
        if codec != "snappy":
            raise UnreadValueError(
                f"{codec} needs pyarrow in the process that reads the file"
            ) from error
        return _check_length(stored, num_bytes).read(0, num_bytes)
    if codec == "snappy":
        _check_length(stored, num_bytes)
    elif codec not in _BY_PYARROW:
        raise UnreadValueError(f"its compression ({codec}) can't be read here")
    try:
        found = _decompress_by_pyarrow(codec, stored, num_bytes)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadValueError(f"it can't be decompressed ({codec}: {error})") from error
    if len(found) != num_bytes:
        raise UnreadValueError(FALSE_LENGTH)
    return found


def _check_length(stored: bytes, num_bytes: int) -> SnappySlices:
    block = SnappySlices(slice_of_bytes(stored))
    if block.num_bytes != num_bytes:
        raise UnreadValueError(FALSE_LENGTH)
    return block


def _decompress_by_pyarrow(codec: str, stored: bytes, num_bytes: int) -> bytes:
    """Decompress; if the block has another length, return a wrong number of bytes.

    If a block is shorter, `pyarrow.decompress` fills the rest with old memory content. So the
    length in a Snappy block is checked before. LZ4 is also asked for one byte less, which it
    refuses if the block has more bytes.
    """
    import pyarrow as pa

    if codec in _STREAMED:
        with pa.CompressedInputStream(pa.BufferReader(stored), codec) as stream:
            return bytes(stream.read(num_bytes + 1))
    found: bytes = pa.decompress(stored, num_bytes, codec, asbytes=True)
    if codec == "lz4_raw" and num_bytes:
        with suppress(pa.ArrowException, OSError, ValueError):
            return bytes(pa.decompress(stored, num_bytes - 1, codec, asbytes=True))
    return found
