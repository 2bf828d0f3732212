"""A broken shard is refused with the place of the fault: most readers pass over it in silence."""

import bz2
import gzip
import io
import lzma

import pytest

from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.made_shards import (
    SOURCE,
    layout_of,
    padded,
    raw_header,
    read_by_tarfile,
    shard_of,
    tar_of,
    with_sum,
    without_end,
)

WHOLE = tar_of("1.jpg", "1.txt", "2.jpg")  # three members of 1,024 bytes
OPEN = without_end(WHOLE)
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    return raw_header(b"p", b"%o" % len(records), kind) + padded(records)


FAULTS = {
    "cut within a header": (OPEN[: 2048 + 200], 2048, "last 200 bytes are less than a block"),
    "cut within the first header": (OPEN[:200], 0, "last 200 bytes are less than a block"),
    "cut after a header": (OPEN[: 2048 + 512], 2048, "up to 3072, but the shard ends at 2560"),
    "cut in the data": (OPEN[: 2048 + 514], 2048, "up to 3072, but the shard ends at 2562"),
    "cut before the padding": (OPEN[: 2048 + 517], 2048, "but the shard ends at 2565"),
    "a byte of a header": (flipped(WHOLE, 1024 + 3), 1024, "wrong checksum"),
    "a byte of the first header": (flipped(WHOLE, 3), 0, "wrong checksum"),
    "a byte of the last header's sum": (flipped(WHOLE, 2048 + 150), 2048, "wrong checksum"),
    "lone zero block": (
        OPEN[:1024] + bytes(512) + OPEN[1024:], 1536, "follow the zero block at byte 1024"),
    "cat": (WHOLE + WHOLE, len(WHOLE), "follow the zero block at byte 3072"),
    "text after the end": (WHOLE + b"text", len(WHOLE), "follow the zero block at byte 3072"),
    "text after the end of no samples": (bytes(1030) + b"t", 1030, "the zero block at byte 0"),
    "0 bytes": (b"", 0, "the file is empty"),
    "text": (b"no tar at all" * 100, 0, "wrong checksum"),
    "size that is no number": (raw_header(b"1.jpg", b"12x") + bytes(1024), 0, "no valid size"),
    "negative size": (raw_header(b"1.jpg", b"\xff" * 12) + bytes(1024), 0, "no valid size"),
    "signed size": (raw_header(b"1.jpg", b"-1") + bytes(1024), 0, "no valid size"),
    "PAX size that is no number": (
        extended(b"11 size=-3\n") + OPEN, 0, "the PAX header has no valid size"),
    "huge size": (
        raw_header(b"1.jpg", b"\x80" + b"\xff" * 11) + bytes(1024), 0, "shard ends at 1536"),
    "huge PAX header": (
        raw_header(b"p", b"7777777777", b"x") + bytes(1024), 0, "1073741823 bytes (at most"),
    "PAX header past the end": (raw_header(b"p", b"20", b"x"), 0, "but the shard ends at 512"),
    "PAX header and no more": (extended(b"6 a=b\n"), 0, "no member follows"),
    "PAX header before the end": (extended(b"6 a=b\n") + bytes(1024), 0, "no member follows"),
    "PAX record without a length": (extended(b"a=b\n") + bytes(1024), 0, "can't be read"),
    "PAX record of a wrong length": (extended(b"7 a=b\n") + bytes(1024), 0, "can't be read"),
    "PAX record that ends early": (extended(b"5 a=b\n") + bytes(1024), 0, "can't be read"),
    "PAX record of length 1": (extended(b"1 a=b\n") + bytes(1024), 0, "can't be read"),
    "PAX record of length 0": (extended(b"0 a=b\n") + bytes(1024), 0, "can't be read"),
    "PAX record of length 0 after another": (
        extended(b"6 a=b\n0 c=d\n") + bytes(1024), 0, "can't be read"),
    "global header amid a member": (
        extended(b"6 a=b\n") + extended(b"6 a=b\n", b"g") + OPEN, 1024, "a global header lies"),
    "sparse map past the end": (
        with_sum(raw_header(b"1.jpg", b"0", b"S")[:482] + b"\1" + bytes(29)), 0, "up to 1024"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_g4_a_fault_is_refused_with_its_place(fault):
    content, first_byte, reason = FAULTS[fault]
    with pytest.raises(FileRefusedError) as refused:
        layout_of(content)
    assert refused.value.kind == "shard"
    assert str(refused.value).startswith(f"shard {SOURCE!r} is broken at byte {first_byte}: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gzip", gzip.compress(WHOLE)),
        ("xz", lzma.compress(WHOLE)),
        ("bzip2", bz2.compress(WHOLE)),
        ("zstd", ZSTD_MAGIC + bytes(range(256)) * 4),
        ("gzip", gzip.compress(b"")),
    ],
    # Bytes would be in the names of tests, and gzip writes the time: two processes would differ.
    ids=["gzip", "xz", "bzip2", "zstd", "gzip-of-nothing"],
)
def test_a_compressed_shard_is_told_by_its_content(name, content):
    with pytest.raises(FileRefusedError, match=f"is compressed with {name}: decompress it first"):
        layout_of(content)


def test_a_name_may_begin_like_a_compressed_file():
    assert shard_of(tar_of("BZh9.jpg")).samples[0].key == "BZh9"


def test_no_zero_blocks_are_accepted_and_told():
    """A shard that was cut between two members looks the same."""
    assert [len(layout_of(OPEN[:end]).members) for end in (1024, 2048, 3072)] == [1, 2, 3]
    assert not layout_of(OPEN).has_end
    assert not layout_of(OPEN + bytes(512)).has_end
    assert not layout_of(OPEN + bytes(1023)).has_end
    assert layout_of(OPEN + bytes(1024)).has_end
    assert layout_of(WHOLE + bytes(10_240)).has_end


@pytest.mark.parametrize("num_bytes", [1, 511])
def test_zeros_that_are_less_than_a_block_are_a_fault(num_bytes):
    with pytest.raises(FileRefusedError, match=f"last {num_bytes} bytes are less than a block"):
        layout_of(OPEN + bytes(num_bytes))


def test_joined_without_zero_blocks_gives_all_members():
    shard = shard_of(OPEN + WHOLE)
    assert [(sample.key, len(sample.members)) for sample in shard.samples] == [("1", 4), ("2", 2)]
    assert [sample.is_torn for sample in shard.samples] == [True, True]


def test_a_tail_longer_than_one_piece_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr("dedup_lib.executor.shards.headers._PIECE_BYTES", 1000)
    assert layout_of(WHOLE + bytes(5000)).has_end
    for place in range(3072 + 512, 10_240, 600):
        with pytest.raises(FileRefusedError, match=f"at byte {place}: other bytes"):
            layout_of(flipped(WHOLE, place))


def test_a_shard_that_became_shorter_was_changed():
    with pytest.raises(FileRefusedError, match="was changed") as refused:
        read_layout(io.BytesIO(OPEN[:1500]), len(OPEN), SOURCE)
    assert refused.value.kind == "changed"


@pytest.mark.parametrize("content", [OPEN[: 2048 + 200], flipped(WHOLE, 1024 + 3), WHOLE + WHOLE,
    OPEN[:1024] + bytes(512) + OPEN[1024:], WHOLE + b"text"])  # fmt: skip
def test_tarfile_passes_over_such_a_fault_in_silence(content):
    """Why the headers are read here: the rest of such a shard would be lost."""
    assert 1 <= len(read_by_tarfile(content)) <= 3
