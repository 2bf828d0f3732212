"""A file whose page header holds whole images, as Polars writes them as statistics."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dedup_lib.executor.parquet_values.thrift import read_struct

_LEVELS_BYTES = 6  # the definition levels of three values: a length of 4 bytes, and a run


def write_huge_header(path: Path, value_bytes: int = 9_000_000) -> None:
    """Write three images, id-0 to id-2; the page header has two values of that many bytes.

    pyarrow leaves out long statistics. So it writes images that are longer, and their page is
    replaced by a page of the same size, with a longer header and shorter images.
    """
    images = [bytes(value_bytes), bytes(value_bytes), b"x"]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pa.table({"image_id": ["id-0", "id-1", "id-2"], "image": images})
    pq.write_table(rows, path, compression="none", use_dictionary=False, write_batch_size=3)
    chunk = pq.read_metadata(path).row_group(0).column(1)
    content, start = path.read_bytes(), chunk.data_page_offset
    header, first = read_struct(content, start)
    assert (chunk.num_values, header[3]) == (3, start + chunk.total_compressed_size - first)
    page = _page(chunk.total_compressed_size, content[first : first + _LEVELS_BYTES], value_bytes)
    path.write_bytes(content[:start] + page + content[start + len(page) :])


def _page(num_bytes: int, levels: bytes, value_bytes: int) -> bytes:
    """Return a page whose header has two long values, and which itself has three short images."""
    statistics = (
        b"\x58" + _text(b"\xff" * value_bytes) + b"\x18" + _text(bytes(value_bytes)) + b"\0"
    )
    begin = b"\x15\x00"  # a data page
    numbers = b"\x15\x06\x15\x00\x15\x06\x15\x06"  # three values, PLAIN, levels as RLE
    end = b"\x2c" + numbers + b"\x1c" + statistics + b"\0\0"
    size = num_bytes - len(begin + end)
    for width in range(1, 6):  # of the numbers that say how many bytes follow
        rest = size - 2 * (1 + width)
        number = _varint(2 * rest)
        if len(number) == width:
            break
    long = rest - len(levels) - 3 * 4 - 2
    images = [b"\xff" * long, b"\0", b"x"]
    values = b"".join(len(image).to_bytes(4, "little") + image for image in images)
    return begin + b"\x15" + number + b"\x15" + number + end + levels + values


def _text(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
