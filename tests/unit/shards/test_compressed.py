"""Shards that are compressed with gzip or zstd: read, rewritten and checked like plain ones."""

import gzip
import io
import tempfile

import pyarrow as pa
import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.footers import SourceFile
from dedup_lib.executor.kept_rows import Bitmap
from dedup_lib.executor.shards import compressed, read_tasks, rewrite_tasks
from dedup_lib.executor.shards.compressed import open_shard
from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.shards.read_tasks import ShardSources
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import task
from tests.support.tables.made_shards import (
    SOURCE,
    layout_of,
    member,
    tar_of,
    without,
    without_end,
)

WHOLE = tar_of("1.jpg", member("1.json", b'{"uid": 5}'), "2.jpg", member("3.jpg", b"a" * 3000))
SECOND_GOES = [Bitmap(0, bytes([0b010]))]


def packed(content: bytes, kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def unpacked(content: bytes, kind: str) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), kind) as stream:
        return stream.read()


def opened(content: bytes, **options):
    return open_shard(pa.BufferReader(content), len(content), SOURCE, **options)


@pytest.fixture(autouse=True)
def disk(tmp_path, monkeypatch):
    """The executor's disk. No name is left there."""
    directory = tmp_path / "disk"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    assert not list(directory.iterdir())


@pytest.fixture
def rewritten(tmp_path):
    """Rewrite a shard on disk in a task; return the new one, and what the task said."""

    def rewrite(content, bitmaps, name="00000.tar.gz", partial="partial", action="remove"):
        source = tmp_path / name
        source.write_bytes(content)
        partial_directory = partial and f"file:{tmp_path}/{partial}"
        given = task(tmp_path, source, partial_directory=partial_directory, num_rows=3)
        done = rewrite_tasks.rewrite_shard(given, bitmaps, {}, RowSelection(action, "key"), {})
        return (tmp_path / "out" / name).read_bytes(), done

    return rewrite


@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_compressed_shard_is_told_by_its_content(kind, is_remote, monkeypatch):
    """It may have several members of gzip, or frames of zstd, and is read in pieces."""
    monkeypatch.setattr(compressed, "_PIECE_BYTES", 1000)
    for content in (packed(WHOLE, kind), packed(WHOLE[:99], kind) + packed(WHOLE[99:], kind)):
        with opened(content, is_remote=is_remote) as shard:
            assert (shard.size_bytes, shard.compression) == (len(WHOLE), kind)
            assert read_layout(shard.file, shard.size_bytes, SOURCE) == layout_of(WHOLE)


@pytest.mark.parametrize("first", [b"\x50", b"\x5f"])
def test_zstd_may_begin_with_a_frame_without_data(first):
    """So write pzstd and others."""
    skipped = first + b"\x2a\x4d\x18" + b"\x04\0\0\0" + b"size"
    with opened(skipped + packed(WHOLE, "zstd")) as shard:
        assert (shard.size_bytes, shard.compression) == (len(WHOLE), "zstd")


@pytest.mark.parametrize("name", ["1.jpg", "BZh9.jpg", "\udcff.jpg"])
def test_other_shards_are_read_as_they_are(name, disk):
    with opened(tar_of(name)) as shard:
        assert shard.compression is None
        assert not list(disk.iterdir())


@pytest.mark.parametrize("magic", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
def test_a_name_may_begin_like_a_compressed_file(magic):
    content = tar_of((magic + b".jpg").decode("utf-8", "surrogateescape"))
    with opened(content) as shard:
        assert shard.compression is None
        assert len(read_layout(shard.file, shard.size_bytes, SOURCE).members) == 1


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_compressed_shard_that_is_cut_is_refused_wherever_it_is_cut(kind):
    content = packed(WHOLE, kind)
    for end in [5, *range(20, len(content), 17), len(content) - 1]:
        with (
            pytest.raises(FileRefusedError, match=f"is broken: .* {kind}, .*Truncated") as refused,
            opened(content[:end]),
        ):
            pass
        assert refused.value.kind == "shard"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("tail", [b"text", bytes(512)])
def test_bytes_after_the_end_are_refused(kind, tail):
    content = packed(WHOLE, kind) + tail
    with pytest.raises(FileRefusedError, match=r"is broken: .* failed"), opened(content):
        pass


def test_a_wrong_checksum_of_gzip_is_refused():
    content = bytearray(packed(WHOLE, "gzip"))
    content[-8] ^= 1
    with (
        pytest.raises(
            FileRefusedError, match=r"is broken: .* inflate failed: incorrect data check"
        ),
        opened(bytes(content)),
    ):
        pass


def test_a_fault_of_the_store_is_no_fault_of_the_shard():
    """The task fails, and Spark tries again."""

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 512:
                raise OSError(5, "the store is away")
            return super().read(size)

    content = packed(WHOLE + bytes(range(256)) * 100, "gzip")
    file = pa.PythonFile(Broken(content), mode="r")
    with (
        pytest.raises(OSError, match="the store is away"),
        open_shard(file, len(content), SOURCE),
    ):
        pass


def test_a_disk_may_take_fewer_bytes_than_it_is_given(monkeypatch, disk):
    """As it does when it becomes full: the rest must not be missing."""

    class Slow(io.FileIO):
        def write(self, data):
            return super().write(memoryview(data)[:1000])

    def temporary(prefix, buffering=-1):
        raw = Slow(disk / prefix, "w+b")
        (disk / prefix).unlink()
        return io.BufferedRandom(raw) if buffering else raw

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    with opened(packed(WHOLE, "gzip")) as shard:
        assert shard.size_bytes == len(WHOLE)
        assert read_layout(shard.file, shard.size_bytes, SOURCE) == layout_of(WHOLE)


@pytest.mark.parametrize("partial", ["partial", None])
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_shard_is_written_with_its_compression(rewritten, kind, partial):
    content, done = rewritten(packed(WHOLE, kind), SECOND_GOES, partial=partial)
    assert unpacked(content, kind) == without(WHOLE, "2")
    assert (done.num_rows, done.written_bytes, done.is_copy) == (2, len(content), False)


def test_the_standard_library_reads_what_is_written(rewritten):
    content, _ = rewritten(gzip.compress(WHOLE), SECOND_GOES)
    assert gzip.decompress(content) == without(WHOLE, "2")


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_compressed_shard_that_loses_nothing_is_copied(rewritten, kind):
    """Also without zero blocks at its end: it would have to be decompressed to see that."""
    given = packed(without_end(WHOLE), kind)
    content, done = rewritten(given, None)
    assert (content, done.is_copy) == (given, True)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_written_shard_is_decompressed_anew_and_compared(rewritten, kind, monkeypatch):
    open_sink = compressed.open_sink

    def open_faulty_sink(target, compression):
        class Sink:
            def __enter__(self):
                self.inner = open_sink(target, compression)
                self.sink = self.inner.__enter__()
                return self

            def __exit__(self, *error):
                return self.inner.__exit__(*error)

            def write(self, piece):
                self.sink.write(bytes(piece).replace(b"3.jpg", b"4.jpg"))

        return Sink()

    monkeypatch.setattr(rewrite_tasks, "open_sink", open_faulty_sink)
    with pytest.raises(FileRefusedError, match="other members than were written"):
        rewritten(packed(WHOLE, kind), SECOND_GOES)


def listed(tmp_path, content, id_from="key"):
    """What is found in a shard, and the IDs of its samples."""
    (tmp_path / "0.tar").write_bytes(content)
    source = SourceFile("0.tar", len(content))
    sources = ShardSources(
        f"file:{tmp_path}", [source], id_from, ["image_id"], "remove", is_for_table=True
    )
    (facts,), rows = read_tasks.list_ids(sources, {})
    return facts, [row[0] for row in rows]


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_ids_are_read_from_a_compressed_shard(tmp_path, kind):
    content = packed(WHOLE, kind)
    assert listed(tmp_path, content, "key")[1] == ["1", "2", "3"]
    assert listed(tmp_path, content, "json:uid")[1] == ["5", None, None]
    (counted,) = read_tasks.count_samples(f"file:{tmp_path}", [SourceFile("0.tar", 0)], {})
    assert counted.num_rows == 3


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_curators_numbers_do_not_name_images_of_a_compressed_shard(tmp_path, kind):
    facts, rows = listed(tmp_path, packed(WHOLE, kind), "curator")
    assert (facts.kind, rows) == ("shard", [])
    assert f"is compressed with {kind}: NeMo Curator does not read it" in facts.refused


def test_a_shard_that_is_compressed_twice_is_refused(tmp_path):
    facts, _ = listed(tmp_path, gzip.compress(gzip.compress(WHOLE)))
    assert "is compressed with gzip: decompress it first" in facts.refused
