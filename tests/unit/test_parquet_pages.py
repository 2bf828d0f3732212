"""Single values of column chunks that pyarrow wrote, in all its layouts, beside pyarrow's own."""

import io
import random
import sys
import time
from contextlib import nullcontext

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.file_slices import FileSlice, UnreadValueError
from dedup_lib.parquet_footers import row_groups
from dedup_lib.parquet_pages import values_at
from dedup_lib.snappy_slices import SnappyError, SnappySlices

CHANCE = random.Random(3)
# NULLs, empty ones, what compresses and what doesn't, shorter and longer than 64 KB.
VALUES = [
    None
    if number % 7 == 3
    else CHANCE.randbytes(CHANCE.randrange(150_000))
    if number % 5
    else b"abc" * CHANCE.randrange(60_000)
    for number in range(80)
]


class Metered:
    """A file in memory, and how much of it was asked for."""

    def __init__(self, data):
        self.data, self.read_bytes = data, 0

    def __call__(self, place, num_bytes):
        self.read_bytes += num_bytes
        return self.data[place : place + num_bytes]

    @property
    def whole(self):
        return FileSlice(self, 0, len(self.data))


def written(values, *, nullable=True, **options):
    """Write a column as one row group; return the file and its chunk."""
    schema = pa.schema([pa.field("image", pa.binary(), nullable=nullable)])
    stream = io.BytesIO()
    pq.write_table(pa.table([values], schema), stream, **options)
    file = Metered(stream.getvalue())
    (group,) = row_groups(file.whole, range(len(values)), [("image",)])
    file.read_bytes = 0
    return file, group.chunk(("image",))


def read(file, chunk, rows):
    part = file.whole.part(chunk.place, chunk.num_bytes)
    found = values_at(part, chunk, rows, nullcontext)
    return {row: None if value is None else value.read() for row, value in found}


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "gzip", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("pages", ["one page", "pages"])
def test_values_are_those_that_were_written(codec, version, use_dictionary, nullable, pages):
    values = VALUES if nullable else [value or b"" for value in VALUES]
    small = {"data_page_size": 64_000, "write_batch_size": 8} if pages == "pages" else {}
    file, chunk = written(
        values,
        nullable=nullable,
        compression=codec,
        data_page_version=version,
        use_dictionary=use_dictionary,
        **small,
    )
    rows = sorted(CHANCE.sample(range(len(values)), 20))
    assert read(file, chunk, rows) == {row: values[row] for row in rows}


def test_of_many_short_values_levels_and_indexes_are_runs_and_groups_of_eight():
    values = [None if number % 3 == 0 or number > 9000 else b"%d" % (number % 300)
              for number in range(10_000)]  # fmt: skip
    for use_dictionary in (True, False):
        file, chunk = written(values, compression="snappy", use_dictionary=use_dictionary)
        rows = [0, 1, 8, 299, 300, 4711, 8999, 9000, 9999]
        assert read(file, chunk, rows) == {row: values[row] for row in rows}


def test_snappy_needs_no_library_and_other_codecs_do(monkeypatch):
    values = [b"%d" % (number % 300) for number in range(10_000)]
    by_codec = {codec: written(values, compression=codec) for codec in ("snappy", "zstd")}
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read(*by_codec["snappy"], [3, 9999]) == {3: values[3], 9999: values[9999]}
    with pytest.raises(UnreadValueError, match="zstd needs pyarrow"):
        read(*by_codec["zstd"], [3])


def test_a_page_of_a_million_values_takes_a_second_or_so():
    """It took 20 s for 200 rows, when the values before each were counted anew."""
    values = [None if number % 3 == 0 else b"%d" % (number % 90_000) for number in range(10**6)]
    file, chunk = written(values, compression="none", data_page_size=2**30, write_batch_size=10**6)
    rows = sorted(CHANCE.sample(range(10**6), 200))
    started = time.process_time()
    assert read(file, chunk, rows) == {row: values[row] for row in rows}
    assert time.process_time() - started < 10


@pytest.mark.parametrize("codec", ["none", "snappy"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_what_is_between_the_values_is_not_read(codec, use_dictionary):
    values = [CHANCE.randbytes(100_000) for _ in range(100)]
    file, chunk = written(values, compression=codec, use_dictionary=use_dictionary)
    assert read(file, chunk, [3, 90]) == {3: values[3], 90: values[90]}
    assert file.read_bytes < 3 * 100_000


def test_how_long_a_value_is_is_told_before_it_is_read():
    file, chunk = written([b"a" * 10, b"b" * 1_000_000, b"c"], compression="none")
    part = file.whole.part(chunk.place, chunk.num_bytes)
    found = values_at(part, chunk, [0, 1, 2], nullcontext)
    assert {row: value.num_bytes for row, value in found} == {0: 10, 1: 1_000_000, 2: 1}
    assert file.read_bytes < 10_000


def test_an_encoding_that_is_not_read_is_named():
    file, chunk = written(
        [b"a", b"b"],
        compression="none",
        use_dictionary=False,
        column_encoding={"image": "DELTA_LENGTH_BYTE_ARRAY"},
    )
    with pytest.raises(UnreadValueError, match=r"its encoding \(number 6\)"):
        read(file, chunk, [1])


def snappy(data):
    return pa.compress(data, "snappy", asbytes=True)


def slices(block):
    return SnappySlices(FileSlice(lambda place, size: block[place : place + size], 0, len(block)))


@pytest.mark.parametrize("kind", ["noise", "text", "runs", "mixed"])
def test_slices_of_a_snappy_block_are_those_of_what_was_compressed(kind):
    text = b"".join(b"the number %d; " % number for number in range(30_000))
    noise = CHANCE.randbytes(300_000)
    mixed = b"".join(noise[at : at + 5000] + text[at : at + 700] for at in range(0, 200_000, 5000))
    data = {"noise": noise, "text": text, "runs": b"a" * 300_000, "mixed": mixed}[kind]
    block = slices(snappy(data))
    for _ in range(100):
        start = CHANCE.randrange(len(data))
        size = min(CHANCE.choice([1, 4, 1000, 100_000]), len(data) - start)
        assert block.read(start, size) == data[start : start + size]


@pytest.mark.parametrize("cut", [0, 1, 3, 40_000, 70_000])
def test_a_damaged_snappy_block_is_an_error(cut):
    block = snappy(CHANCE.randbytes(100_000))
    with pytest.raises((SnappyError, IndexError)):
        slices(block[:cut]).read(0, 100_000)


def test_what_no_compressor_writes_is_an_error_and_no_other_bytes():
    """A fragment that refers to the one before it, and elements that lie in two fragments."""
    whole = bytes([0x80, 0x80, 0x08])  # 131,072 bytes
    literal = bytes([62 << 2, 0xFF, 0xFF, 0x00]) + bytes(65_536)  # a fragment, as it is
    back = bytes([(63 << 2) | 2, 1, 0])
    with pytest.raises(SnappyError, match="before it"):
        slices(whole + literal + back * 1024).read(70_000, 4)
    across = bytes([62 << 2, 0x00, 0x00, 0x01]) + bytes(65_537)
    with pytest.raises(SnappyError, match="fragments"):
        slices(whole + across).read(0, 70_000)
