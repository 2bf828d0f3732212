"""Single values of column chunks that pyarrow wrote, in all its layouts, beside pyarrow's own."""

import io
import random
import sys
import time
import tracemalloc
from contextlib import nullcontext

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.executor.parquet_values import (
    FileSlice,
    UnreadValueError,
    row_groups,
    values_at,
)
from dedup_lib.executor.parquet_values.column_chunks import ColumnChunk
from dedup_lib.executor.parquet_values.decompress import decompress
from dedup_lib.executor.parquet_values.snappy import SnappyError, SnappySlices
from dedup_lib.executor.parquet_values.thrift import read_struct

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
    (group,) = row_groups(file.whole, range(len(values)), [("image",)], nullcontext)
    file.read_bytes = 0
    return file, group.chunk(("image",))


def read(file, chunk, rows):
    part = file.whole.part(chunk.offset, chunk.num_bytes)
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
    part = file.whole.part(chunk.offset, chunk.num_bytes)
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


def small_file(codec, version, use_dictionary):
    """Images and texts in row groups of several pages."""
    chance = random.Random(4)
    rows = {
        "image": [chance.randbytes(chance.randrange(60)) if n % 5 else None for n in range(40)],
        "caption": [f"text {n % 4}" if n % 3 else None for n in range(40)],
    }
    stream = io.BytesIO()
    pages = {"row_group_size": 25, "write_batch_size": 8, "data_page_size": 200}
    how = {"compression": codec, "data_page_version": version, "use_dictionary": use_dictionary}
    pq.write_table(pa.table(rows), stream, **how, **pages)
    return stream.getvalue()


def damaged(data, chance):
    """Change some bytes, as a disk does, and as who means harm does."""
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(4, len(data) - 8)
        match chance.randrange(5):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.choice([0, 127, 128, 255])
            case 2:  # the largest number
                data[at : at + 10] = b"\xff" * 9 + b"\x7f"
            case 3:
                del data[at]
            case 4:
                data[at:at] = chance.randbytes(3)
    return bytes(data)


def outcomes(data):
    """What is read of a file: bytes, None or a reason, of each row of each column."""
    file, rows = FileSlice(Metered(data), 0, len(data)), range(0, 40, 3)
    try:
        groups = row_groups(file, rows, [("image",), ("caption",)], nullcontext)
    except UnreadValueError as reason:
        return [reason]
    found = []
    for group in groups:
        for column in group.chunks:
            try:
                chunk = group.chunk(column)
                part = file.part(chunk.offset, chunk.num_bytes)
                values = values_at(part, chunk, rows, nullcontext)
                found += [None if value is None else value.read() for _, value in values]
            except UnreadValueError as reason:
                found.append(reason)
    return found


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_a_damaged_file_ends_in_values_or_a_reason_soon_and_in_little_memory(
    codec, version, use_dictionary
):
    """Whatever else is raised fails the test, as does what takes long or much."""
    whole, chance = small_file(codec, version, use_dictionary), random.Random(7)
    assert not [one for one in outcomes(whole) if isinstance(one, UnreadValueError)]
    tracemalloc.start()
    try:
        for _ in range(200):
            started = time.process_time()
            outcomes(damaged(whole, chance))
            assert time.process_time() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


HOSTILE_STRUCTS = {
    "a struct in a struct, without end": b"\x1c" * 60_000,
    "a list in a list, without end": b"\x19" * 60_000,
    "a list of 2**62 truth values": b"\x19\xf1" + b"\xff" * 8 + b"\x3f",
    "a number without end": b"\x15" + b"\xff" * 60_000,
    "a text of 2**62 bytes": b"\x18" + b"\xff" * 8 + b"\x3f",
}


@pytest.mark.parametrize("data", HOSTILE_STRUCTS.values(), ids=HOSTILE_STRUCTS)
def test_a_struct_that_means_harm_is_an_error(data):
    with pytest.raises((ValueError, IndexError)):
        read_struct(data, 0)


def test_a_run_of_numbers_is_not_held():
    """A page that says that it has 2**31 - 1 values, all of them NULL, in a run of as many."""
    header = struct_of({1: 0, 2: 10, 3: 10, 5: {1: 2**31 - 1, 2: 0, 3: 3, 4: 3}})
    levels = bytes([0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 0])
    data = header + len(levels).to_bytes(4, "little") + levels
    chunk = ColumnChunk(0, len(data), 2**31 - 1, "uncompressed", definition_level=1)
    assert read(Metered(data), chunk, [0, 2**31 - 2]) == {0: None, 2**31 - 2: None}


def struct_of(fields):
    """Spell a struct of numbers and structs as Thrift does."""
    spelled, before = b"", 0
    for number, value in fields.items():
        kind, content = (
            (12, struct_of(value)) if isinstance(value, dict) else (5, varint(2 * value))
        )
        spelled += bytes([number - before << 4 | kind]) + content
        before = number
    return spelled + b"\0"


def varint(number):
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def test_a_page_that_is_made_whole_is_of_a_bounded_size():
    header = struct_of({1: 0, 2: 2**30, 3: 10, 5: {1: 1, 2: 0, 3: 3, 4: 3}})
    chunk = ColumnChunk(0, len(header) + 10, 1, "zstd", definition_level=0)
    with pytest.raises(UnreadValueError, match="a page of 1,074 MB"):
        read(Metered(header + bytes(10)), chunk, [0])


def test_columns_of_which_no_value_is_read_have_the_reason():
    table = pa.table({"fixed": pa.array([b"ab"], pa.binary(2)), "list": [[b"a"]], "image": [b"a"]})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    file = Metered(stream.getvalue()).whole
    (group,) = row_groups(
        file, [0], [("fixed",), ("list", "list", "element"), ("image",)], nullcontext
    )
    with pytest.raises(UnreadValueError, match="a type that can't hold images"):
        group.chunk(("fixed",))
    with pytest.raises(UnreadValueError, match="several values"):
        group.chunk(("list", "list", "element"))
    with pytest.raises(UnreadValueError, match="no column 'photo'"):
        group.chunk(("photo",))
    assert group.chunk(("image",)).num_values == 1


def test_footers_say_what_pyarrow_says_of_them():
    """Also columns in structs, and a footer that is longer than what is read at first."""
    table = pa.table(
        {f"c{n}": [{"bytes": b"a" * n, "more": {"path": "x"}}, None] for n in range(300)}
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=1)
    metadata = pq.read_metadata(stream)
    assert metadata.serialized_size > 64 * 1024
    names = [(f"c{n}", "more", "path") for n in range(300)]
    groups = row_groups(Metered(stream.getvalue()).whole, [1], names, nullcontext)
    assert [(group.first_row, group.num_rows) for group in groups] == [(1, 1)]
    for number, name in enumerate(names):
        theirs, mine = metadata.row_group(1).column(2 * number + 1), groups[0].chunk(name)
        assert theirs.path_in_schema == ".".join(name)
        assert mine.num_bytes == theirs.total_compressed_size
        assert mine.offset == theirs.dictionary_page_offset
        assert mine.codec == "snappy"
        assert mine.definition_level == 3


@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "brotli", "lz4_raw"])
def test_a_page_that_says_it_is_longer_than_it_is_shows_nothing_of_the_memory(codec):
    """pyarrow gives as many bytes as it is asked for, whatever the block says."""
    said = b"abcd" * 25
    stored = pa.compress(said, codec, asbytes=True)
    assert decompress(codec, stored, len(said)) == said
    for length in (len(said) + 200, len(said) - 1):
        with pytest.raises(UnreadValueError, match=r"not as long as it says|be decompressed"):
            decompress(codec, stored, length)


@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "brotli", "lz4_raw"])
def test_a_page_of_nothing_is_one_whatever_its_codec(codec):
    """As one of NULLs alone."""
    stored = pa.compress(b"", codec, asbytes=True)
    assert decompress(codec, stored, 0) == b""
