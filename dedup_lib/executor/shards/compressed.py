"""Open shards that are compressed with gzip or zstd, and write such shards."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from dedup_lib.executor.shards.header_blocks import BLOCK_BYTES, Place, parse_header
from dedup_lib.executor.stores import FileRefusedError, StoreFile

# Whether a shard is compressed is told by its content. All else is no shard.
SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
_READ_AHEAD_BYTES = 4 * 1024**2
_PIECE_BYTES = 1024**2
# Some writers of zstd begin with a frame without data: a byte from 0x50 to 0x5f, and these bytes.
_SKIPPED_FRAME = b"\x2a\x4d\x18"
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# What pyarrow's codecs say of faulty data. All else that fails is a fault of the store.
_FAULT = re.compile("Truncated compressed stream|(?:zlib inflate|ZSTD decompress) failed.*")


class OpenShard(NamedTuple):
    """A shard as it is without compression.

    Attributes:
        file: A binary file that can seek.
        size_bytes: Its size.
        compression: How the shard is stored: `gzip`, `zstd`, or None.
    """

    file: Any
    size_bytes: int
    compression: str | None


@contextlib.contextmanager
def open_shard(
    file: Any, size_bytes: int, source: str, *, is_remote: bool = False
) -> Iterator[OpenShard]:
    """Open a shard to read its headers. Whether it is compressed is told by its content.

    Args:
        file: The shard as it is stored, opened by pyarrow.
        size_bytes: The size of this file.
        source: The URI of the shard, for messages.
        is_remote: Whether each read is a request to an object store. Headers are then read ahead.

    Raises:
        FileRefusedError: The compressed data are cut, or have another fault.

    *Cost:* a compressed shard is decompressed to a temporary file, on the executor's disk. It is
    deleted at the end.
    """
    with read_ahead(file, is_remote=is_remote) as ahead:
        compression = _compression_of(ahead)
        if compression is None:
            yield OpenShard(ahead, size_bytes, None)
            return
    # Without a buffer, a write may store only a part. For reads, a buffer is of no use.
    with tempfile.TemporaryFile(prefix="remove-duplicates-") as plain:
        file.seek(0)
        _decompress(file, compression, plain, source)
        plain.flush()
        raw: Any = plain
        yield OpenShard(raw.raw, plain.tell(), compression)


@contextlib.contextmanager
def open_sink(target: StoreFile, compression: str | None) -> Iterator[Any]:
    """Open a stream that writes a shard, compressed like its source."""
    import pyarrow as pa

    with target.store.open_output_stream(target.path) as sink:
        if compression is None:
            yield sink
            return
        with pa.CompressedOutputStream(sink, compression) as compressing:
            yield compressing


@contextlib.contextmanager
def read_ahead(file: Any, *, is_remote: bool) -> Iterator[Any]:
    """Read headers ahead in an object store, where a request takes as long as some megabytes."""
    if not is_remote:
        yield file
        return
    buffered = io.BufferedReader(file, _READ_AHEAD_BYTES)
    try:
        yield buffered
    finally:
        buffered.detach()


def is_compressed(file: Any) -> bool:
    """Tell by its first block whether a shard is stored with gzip or zstd."""
    return _compression_of(file) is not None


def _compression_of(file: Any) -> str | None:
    """Tell the compression by the first bytes. A header's name may begin with the same bytes."""
    file.seek(0)
    block = file.read(BLOCK_BYTES)
    if _is_header(block):
        return None
    if block[1:4] == _SKIPPED_FRAME and block[0] & 0xF0 == 0x50:
        return "zstd"
    return next((name for magic, name in _COMPRESSIONS.items() if block.startswith(magic)), None)


def _is_header(block: bytes) -> bool:
    try:
        return len(block) == BLOCK_BYTES and bool(parse_header(block, Place("", 0)))
    except FileRefusedError:
        return False


def _decompress(file: Any, compression: str, plain: Any, source: str) -> None:
    """Write the content of a compressed file, of any number of gzip's members or zstd's frames."""
    import pyarrow as pa

    # The codec reads 64 KB at once.
    buffered = pa.BufferedInputStream(file, _READ_AHEAD_BYTES)
    stream = pa.CompressedInputStream(buffered, compression)
    try:
        while piece := stream.read(_PIECE_BYTES):
            plain.write(piece)
    except OSError as error:
        if fault := _FAULT.search(str(error)):
            raise FileRefusedError(
                "shard",
                f"shard {source!r} is broken: it is compressed with {compression}, and after "
                f"{plain.tell()} bytes of its content, or more, follows: {fault[0]}",
            ) from error
        raise
