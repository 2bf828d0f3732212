"""Marks of samples: new members in the right places, and all else keeps its bytes."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from dedup_lib.executor.file_task import RowSelection
from dedup_lib.executor.kept_rows import Bitmap, Keeper
from dedup_lib.executor.shards.marks import is_marked, why_unmarkable
from dedup_lib.executor.shards.rewrite import annotate_samples, check_written
from dedup_lib.executor.shards.rewrite_tasks import rewrite_shard
from dedup_lib.executor.stores import FileRefusedError
from tests.support.tables.arrow_tasks import task
from tests.support.tables.made_shards import (
    FORMATS,
    SOURCE,
    layout_of,
    link,
    member,
    padded,
    raw_header,
    read_by_tarfile,
    shard_of,
    tar_of,
    without_end,
)

LONG = "long/" * 30 + "k"
UNMARKED = b'{"is_duplicate": false, "kept_image_id": ""}'


def mark_of(keeper: str = "") -> bytes:
    return json.dumps({"is_duplicate": True, "kept_image_id": keeper}).encode()


def annotated(content: bytes, keepers: dict[int, bytes | bytearray | None]) -> bytes:
    """The shard with marks; the keepers say by index which samples are duplicates."""
    sink, shard = io.BytesIO(), shard_of(content)
    known = {index: keeper for index, keeper in keepers.items() if keeper is not None}
    written = annotate_samples(io.BytesIO(content), shard, keepers.keys(), sink, known)
    check_written(sink, written.written_bytes, SOURCE, written)
    assert written.written_bytes == len(sink.getvalue())
    assert written.num_samples == len(shard.samples)
    return sink.getvalue()


def without_marks(content: bytes) -> bytes:
    """The bytes of a shard but those of its marks, up to its end."""
    new = [one for one in layout_of(content).members if one.name.endswith(".dedup.json")]
    ends = [0, *(one.end for one in new)]
    starts = [*(one.start for one in new), len(without_end(content))]
    return b"".join(content[end:start] for end, start in zip(ends, starts, strict=True))


@pytest.mark.parametrize("form", FORMATS)
def test_each_sample_gets_its_mark_after_its_last_member(form):
    time = 1.5 if form == "pax" else 1
    given = ["d/1.jpg", "d/1.json", "README", "2.jpg", "2.seg.png", "__x.jpg", "3.txt"]
    content = tar_of(*(member(name, mtime=time) for name in given), form=form)
    new = annotated(content, {0: bytearray(b"\xc3\xa9"), 1: None})
    old = read_by_tarfile(content)
    assert read_by_tarfile(new) == [
        *old[:2],
        ("d/1.dedup.json", mark_of("é")),
        *old[2:5],
        ("2.dedup.json", mark_of()),
        *old[5:7],
        ("3.dedup.json", UNMARKED),
    ]
    assert without_marks(new) == without_end(content)
    assert len(new) % 10_240 == 0


def test_a_mark_has_a_plain_header_that_is_always_the_same():
    new = annotated(tar_of("1.jpg"), {})
    with tarfile.open(fileobj=io.BytesIO(new)) as tar:
        info = tar.getmember("1.dedup.json")
    assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
    assert (info.mode, info.type, info.pax_headers) == (0o644, tarfile.REGTYPE, {})
    assert info.offset_data - info.offset == 512
    assert new == annotated(tar_of("1.jpg"), {})


@pytest.mark.parametrize("key", [LONG, "é", "k\udcff", "./1"])
def test_any_key_gets_a_mark_in_its_own_sample(key):
    shard = shard_of(annotated(tar_of(f"{key}.jpg", "2.jpg"), {}))
    (first, second) = shard.samples
    assert [one.name for one in first.members] == [f"{key}.jpg", f"{key}.dedup.json"]
    assert (first.key, second.key, first.is_torn) == (key, "2", False)
    assert first.members[1].plain_name == f"{key}.dedup.json"  # DALI reads it, too


def test_marks_go_before_the_global_header_of_the_next_member():
    records = b"14 uname=team\n"
    shared = raw_header(b"g", b"%o" % len(records), b"g", b"ustar\00000") + padded(records)
    content = without_end(tar_of("1.jpg")) + shared + tar_of("2.jpg", "3.jpg")
    new = annotated(content, {})
    with tarfile.open(fileobj=io.BytesIO(new)) as tar:
        assert [info.uname for info in tar] == ["", "", "team", "team", "team", "team"]
    assert without_marks(new) == without_end(content)


def test_a_shard_without_end_gets_one():
    content = tar_of("1.jpg", "2.jpg")
    assert annotated(without_end(content), {}) == annotated(content, {})


def test_links_stay_beside_their_targets():
    new = annotated(tar_of("1.jpg", link("2.jpg", "1.jpg")), {0: b"2"})
    names = [name for name, _ in read_by_tarfile(new)]
    assert names == ["1.jpg", "1.dedup.json", "2.jpg", "2.dedup.json"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["1.jpg", "2.jpg", "2.dedup.json"], "'2.dedup.json' already"),
        (["1.jpg", "1.DeDup.JSON"], "'1.DeDup.JSON' already"),
        (["1.jpg", "2.jpg", "1.txt"], "'1' has members that lie apart"),
    ],
)
def test_samples_that_can_get_no_mark_are_refused(members, words):
    content, sink = tar_of(*members), io.BytesIO()
    with pytest.raises(FileRefusedError, match=words) as refused:
        annotate_samples(io.BytesIO(content), shard_of(content), {0}, sink, {})
    assert (refused.value.kind, sink.getvalue()) == ("shard", b"")


def test_samples_that_can_get_a_mark():
    shard = shard_of(tar_of("1.jpg", "README", "1.json", "1.dedup.json.gz", "x/dedup.json"))
    assert why_unmarkable(shard.samples) is None


def test_marks_are_read_again():
    content = annotated(tar_of("1.jpg", "2.jpg", "3.jpg"), {1: b"1"})
    shard = shard_of(content)
    found = [is_marked(io.BytesIO(content), sample) for sample in shard.samples]
    assert found == [False, True, False]
    assert not is_marked(io.BytesIO(), shard_of(tar_of("1.jpg")).samples[0])


def test_a_mark_that_is_written_wrong_is_found():
    content, sink = tar_of("1.jpg", "2.jpg"), io.BytesIO()
    written = annotate_samples(io.BytesIO(content), shard_of(content), {0}, sink, {})
    for change in ((b"true", b"null"), (b"1.dedup", b"3.dedup")):
        other = sink.getvalue().replace(*change)
        with pytest.raises(FileRefusedError, match="other members than were written"):
            check_written(io.BytesIO(other), len(other), SOURCE, written)


def rewritten(path: Path, num_rows: int, bitmaps: list[Bitmap] | None) -> bytes | None:
    """What the task of an executor writes; None if nothing."""
    target = path.parent / "out" / path.name
    given = task(path.parent, path, num_rows=num_rows)
    done = rewrite_shard(given, bitmaps, {}, RowSelection("annotate", "key"), {})
    assert (done.num_rows, done.is_copy) == (num_rows, False)
    return target.read_bytes() if target.exists() else None


def test_a_task_marks_planned_samples_and_those_of_a_shard_without_any(tmp_path):
    content = tar_of("1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "old.tar").write_bytes(content)
    planned = [Bitmap(0, b"\x06", keepers=[Keeper(2, b"1")])]
    new = rewritten(tmp_path / "old.tar", 3, planned)
    assert new == annotated(content, {1: None, 2: b"1"})
    assert rewritten(tmp_path / "old.tar", 3, None) == annotated(content, {})


@pytest.mark.parametrize("members", [[], ["README"]])
def test_a_shard_without_samples_stays(tmp_path, members):
    content = tar_of(*members)
    (tmp_path / "old.tar").write_bytes(content)
    assert rewritten(tmp_path / "old.tar", 0, None) == content


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"\xff"])
def test_a_mark_that_can_not_be_read_is_refused(content):
    shard = tar_of(member("1.dedup.json", content))
    with pytest.raises(FileRefusedError, match=r"the mark '1\.dedup\.json' can't be read"):
        is_marked(io.BytesIO(shard), shard_of(shard).samples[0])
