"""A shard without some samples: all that stays keeps its bytes and its place."""

import io
import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup_lib.executor.shards import pieces, rewrite
from dedup_lib.executor.shards.headers import read_layout
from dedup_lib.executor.shards.json_ids import read_json_id
from dedup_lib.executor.shards.rewrite import check_written, extract_samples, remove_samples
from dedup_lib.executor.shards.samples import group_samples
from dedup_lib.executor.stores import FileRefusedError, open_store
from tests.support.tables.made_shards import (
    END,
    FORMATS,
    SOURCE,
    indexes_of,
    layout_of,
    link,
    member,
    only,
    padded,
    raw_header,
    read_by_tarfile,
    shard_of,
    tar_of,
    without,
    without_end,
)

SYMLINK = tarfile.SYMTYPE


def ranges(content: bytes) -> list[bytes]:
    """The bytes of each member."""
    return [content[item.start : item.end] for item in layout_of(content).members]


def names(content: bytes) -> list[str]:
    return [name for name, _ in read_by_tarfile(content)]


def test_all_members_of_a_removed_key_go():
    content = tar_of("1.jpg", "2.jpg", "1.txt", "2.txt")
    assert names(without(content, "1")) == ["2.jpg", "2.txt"]
    assert names(only(content, "1")) == ["1.jpg", "1.txt"]


@pytest.mark.parametrize("form", FORMATS)
def test_what_stays_is_equal_in_bytes(form):
    """As TarWriter of webdataset writes it: each member has a PAX header with its time."""
    time = 1700000000.25 if form == "pax" else 1700000000
    members = [
        member(f"{key}.{suffix}", suffix.encode() * 500, mtime=time, uname="bigdata", mode=0o444)
        for key in range(3)
        for suffix in ("jpg", "json", "txt")
    ]
    content = tar_of(*members, form=form)
    kept = ranges(content)
    assert len(kept[0]) == (1024 if form == "pax" else 0) + 512 + 1536
    assert ranges(without(content, "1")) == kept[:3] + kept[6:]
    assert ranges(only(content, "1")) == kept[3:6]
    assert without(content, "1") == tar_of(*members[:3], *members[6:], form=form)


def test_a_shard_that_loses_nothing_is_equal_in_bytes():
    content = tar_of("1.jpg", "2.jpg")
    assert without(content) == content


def test_a_global_header_stays_when_both_neighbours_go():
    records = b"14 uname=team\n"
    shared = raw_header(b"g", b"%o" % len(records), b"g", b"ustar\00000") + padded(records)
    content = without_end(tar_of("1.jpg")) + shared + tar_of("2.jpg", "3.jpg")
    for rest in (without(content, "1"), without(content, "1", "2"), only(content, "3")):
        assert rest.startswith(shared)
        with tarfile.open(fileobj=io.BytesIO(rest)) as tar:
            assert {info.uname for info in tar} == {"team"}
    assert shared in without(content, "1", "2", "3")


def test_members_without_a_key_stay_in_their_place_and_are_not_extracted():
    folder = member("d", type=tarfile.DIRTYPE, size=0)
    content = tar_of(folder, "d/1.jpg", "README", "d/__x.jpg", "d/2.jpg")
    assert names(without(content, "d/1")) == ["d", "README", "d/__x.jpg", "d/2.jpg"]
    assert names(without(content, "d/1", "d/2")) == ["d", "README", "d/__x.jpg"]
    assert names(only(content, "d/1")) == ["d/1.jpg"]


@pytest.mark.parametrize("num_members", [0, 1, 8, 9, 10, 19])
def test_a_new_shard_ends_as_python_ends_it(num_members):
    """Two zero blocks, filled to 20 blocks; here a member has two."""
    keys = [f"{number:02}" for number in range(num_members)]
    rest = without(tar_of("x.jpg", *(f"{key}.jpg" for key in keys)), "x")
    assert rest == tar_of(*(f"{key}.jpg" for key in keys))


def test_a_shard_without_end_gets_one():
    content = tar_of("1.jpg", "2.jpg")
    assert without(without_end(content)) == content


def test_what_was_written_is_counted():
    content = tar_of("1.jpg", "noext", "2.jpg", "2.txt", "3.jpg")
    shard = shard_of(content)
    done = [
        write(io.BytesIO(content), shard, {0}, io.BytesIO())
        for write in (remove_samples, extract_samples)
    ]
    counts = [(one.num_samples, one.num_members, one.written_bytes) for one in done]
    assert counts == [(2, 4, 10_240), (1, 1, 10_240)]


@pytest.mark.parametrize(
    ("item", "target"),
    [
        (link("2.png", "1.jpg"), "1.jpg"),
        (link("2.png", "./1.jpg"), "1.jpg"),
        (link("2.png", "1.jpg", SYMLINK), "1.jpg"),
        (link("d/2.png", "1.jpg"), "1.jpg"),
        (link("d/2.png", "../1.jpg", SYMLINK), "1.jpg"),
        (link("noext", "1.jpg"), "1.jpg"),
    ],
)
def test_a_link_that_would_lose_its_target_is_refused(item, target):
    content, sink = tar_of("1.jpg", item, "3.jpg"), io.BytesIO()
    shard = shard_of(content)
    both = re.escape(f"has the link {item[0].name!r} to {target!r}")
    with pytest.raises(FileRefusedError, match=both) as refused:
        remove_samples(io.BytesIO(content), shard, indexes_of(shard, ["1"]), sink)
    assert (refused.value.kind, sink.getvalue()) == ("shard", b"")


def test_a_link_may_go_or_stay_with_its_target():
    content = tar_of("1.jpg", link("2.jpg", "1.jpg"), link("1.png", "1.jpg"), "3.jpg")
    assert names(without(content, "1", "2")) == ["3.jpg"]
    assert names(without(content, "2")) == ["1.jpg", "1.png", "3.jpg"]
    assert names(only(content, "1")) == ["1.jpg", "1.png"]
    with pytest.raises(FileRefusedError, match=r"the link '2.jpg' to '1.jpg'"):
        only(content, "2")


def test_a_target_may_be_written_with_a_dot():
    content = tar_of("./1.jpg", link("./2.jpg", "1.jpg"))
    with pytest.raises(FileRefusedError, match=r"'./2.jpg' to './1.jpg'"):
        without(content, "./1")


def test_a_symbolic_link_starts_in_its_directory():
    content = tar_of("1.jpg", "d/1.jpg", link("d/2.jpg", "1.jpg", SYMLINK))
    assert names(without(content, "1")) == ["d/1.jpg", "d/2.jpg"]
    with pytest.raises(FileRefusedError, match=r"'d/2.jpg' to 'd/1.jpg'"):
        without(content, "d/1")


def test_a_link_whose_target_was_never_there_stays():
    content = tar_of("1.jpg", link("2.jpg", "gone.jpg"))
    assert ranges(without(content, "1")) == ranges(content)[1:]


@pytest.mark.parametrize("is_remote", [False, True])
def test_large_data_are_copied_in_pieces(monkeypatch, is_remote):
    """Short ranges share a piece: of all pieces only the last one is not full."""
    for module in (rewrite, pieces):
        monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    monkeypatch.setattr(rewrite, "_REMOTE_PIECE_BYTES", 3500)
    big = member("2.jpg", bytes(range(256)) * 40)
    content = tar_of("1.jpg", big, "3.jpg", "4.jpg", "5.jpg", "6.jpg", form="gnu")
    read, written = [], []

    class File(io.BytesIO):
        def readinto(self, buffer):
            read.append(len(buffer))
            return super().readinto(buffer)

    class Sink(io.BytesIO):
        def write(self, piece):
            written.append(len(piece))
            return super().write(piece)

    sink, shard = Sink(), shard_of(content)
    remove_samples(File(content), shard, {0, 3}, sink, is_remote=is_remote)
    parts = ranges(content)
    assert ranges(sink.getvalue()) == [*parts[1:3], *parts[4:]]
    # Adjacent members are one range: 11,776 bytes, and 2,048 bytes.
    if is_remote:
        assert read == [3500, 3500, 3500, 1276, 2048]
        assert written == ([1000] * 3 + [500]) * 5 + [1000] * 2 + [980]
    else:
        assert read == [1000] * 11 + [776, 224, 1000, 824]
        assert written == [1000] * 20 + [480]


def test_a_file_may_give_less_than_was_asked_for(monkeypatch):
    for module in (rewrite, pieces):
        monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    content = tar_of("1.jpg", member("2.jpg", bytes(range(256)) * 4), "3.jpg", "4.jpg")

    class Slow(io.BytesIO):
        def readinto(self, buffer):
            return super().readinto(buffer[:7])

    sink, shard = io.BytesIO(), shard_of(content)
    remove_samples(Slow(content), shard, {0, 2}, sink)
    assert sink.getvalue() == without(content, "1", "3")
    assert ranges(sink.getvalue()) == [ranges(content)[1], ranges(content)[3]]


def test_a_shard_that_became_shorter_was_changed():
    content = tar_of("1.jpg", "2.jpg")
    with pytest.raises(FileRefusedError, match="was changed") as refused:
        remove_samples(io.BytesIO(content[:1500]), shard_of(content), {0}, io.BytesIO())
    assert refused.value.kind == "changed"


def test_a_written_shard_is_read_back():
    source = tar_of("1.jpg", member("2.jpg", b"abc"), "2.txt", "noext")
    shard, sink = shard_of(source), io.BytesIO()
    written = remove_samples(io.BytesIO(source), shard, {0}, sink)
    assert [(one.start, one.num_bytes) for one in written.headers] == [
        (0, 512),
        (1024, 512),
        (2048, 512),
    ]
    content = sink.getvalue()
    check_written(io.BytesIO(content), len(content), SOURCE, written)
    others = without(source, "1", "2"), tar_of("2.jpg", "2.txt", "noext"), content[: 3 * 1024]
    for other in others:  # too few members, another size, no end
        with pytest.raises(FileRefusedError, match="other members than were written"):
            check_written(io.BytesIO(other), len(other), SOURCE, written)


def test_a_shard_in_a_store_is_read_and_written_by_pyarrow(tmp_path):
    content = tar_of("1.jpg", "2.jpg", member("2.json", b'{"id": 7}'))
    (tmp_path / "in.tar").write_bytes(content)
    store, path = open_store(f"file:{tmp_path}", {})
    with store.open_input_file(f"{path}/in.tar") as file:
        shard = group_samples(read_layout(file, file.size(), SOURCE))
        assert read_json_id(file, shard.samples[1], "id") == "7"
        with store.open_output_stream(f"{path}/out.tar") as sink:
            remove_samples(file, shard, {0}, sink)
    assert (tmp_path / "out.tar").read_bytes() == without(content, "1")


def test_a_shard_of_no_samples_can_be_written():
    assert without(END) == bytes(10_240)
    content = without(tar_of("1.jpg"), "1")
    assert content == bytes(10_240)


KEYS = st.text(st.sampled_from("ab_é\n /\udcff"), min_size=1, max_size=6).map(
    lambda key: f"k/{key}k"
)
MEMBERS = st.lists(
    st.tuples(
        st.one_of(KEYS, KEYS.map(lambda key: "long/" * 30 + key)),
        st.sampled_from([".jpg", ".txt", ".seg.png", ""]),
        st.binary(min_size=1, max_size=1100),
        st.integers(0, 2**31) | st.floats(0, 2**31),
    ),
    max_size=12,
)


@given(
    members=MEMBERS, form=st.sampled_from(list(FORMATS)), choice=st.randoms(use_true_random=False)
)
@settings(max_examples=60, deadline=None)
def test_g1_g3_tarfile_reads_exactly_what_stays(members, form, choice):
    content = tar_of(
        *(
            member(key + suffix, data, mtime=time if form == "pax" else int(time))
            for key, suffix, data, time in members
        ),
        form=form,
    )
    shard = shard_of(content)
    gone = {sample.key for sample in shard.samples if choice.random() < 0.5}
    read, parts = read_by_tarfile(content), ranges(content)
    assert len(read) == len(parts) == len(members)
    stays = [not suffix or key not in gone for key, suffix, _, _ in members]
    rest, taken = without(content, *gone), only(content, *gone)
    assert read_by_tarfile(rest) == [item for item, stay in zip(read, stays, strict=True) if stay]
    assert ranges(rest) == [part for part, stay in zip(parts, stays, strict=True) if stay]
    assert ranges(taken) == [part for part, stay in zip(parts, stays, strict=True) if not stay]
    assert len(rest) % 10_240 == len(taken) % 10_240 == 0
