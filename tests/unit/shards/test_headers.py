"""The members of a tar shard, found by its headers: names, sizes, and the bytes of each."""

import io
import shutil
import subprocess
import tarfile

import pytest

from dedup_lib.executor.shards.header_blocks import sum_of
from dedup_lib.executor.shards.headers import read_layout
from tests.support.tables.made_shards import (
    END,
    FORMATS,
    SOURCE,
    CountingFile,
    layout_of,
    link,
    member,
    padded,
    raw_header,
    tar_of,
    with_sum,
)

LONG = "x" * 60 + "/" + "y" * 60 + ".jpg"
VERY_LONG = "z" * 300 + "/" + "y" * 160 + ".jpg"


def names(content: bytes) -> list[str]:
    return [member.name for member in layout_of(content).members]


def gnu_tar(*arguments: object) -> str:
    """Run GNU tar; return what it says."""
    tar = shutil.which("gtar") or shutil.which("tar")
    if tar is None or "GNU" not in _said([tar, "--version"]):
        pytest.skip("GNU tar is not on this machine")
    return _said([tar, *map(str, arguments)])


def _said(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("form", FORMATS)
def test_the_members_are_those_of_tarfile(form):
    """Any mix of sizes around a block, directories, links and long names."""
    content = tar_of(
        member("d", type=tarfile.DIRTYPE, size=0),
        member("d/1.jpg", b"a" * 511),
        member("d/1.txt", b"a" * 512),
        member("d/2.jpg", b"a" * 513),
        LONG,
        link("d/3.jpg", "d/1.jpg"),
        link("d/4.jpg", LONG if form != "ustar" else "1.jpg", tarfile.SYMTYPE),
        member("d/0.cls", size=0),
        form=form,
    )
    layout = layout_of(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        expected = tar.getmembers()
    found = [
        (item.start, item.data_start, item.data_bytes, item.name.rstrip("/"), item.link_name)
        for item in layout.members
    ]
    assert found == [
        (info.offset, info.offset_data, info.size, info.name, info.linkname) for info in expected
    ]
    ends = [info.offset for info in expected[1:]] + [layout.members[-1].start + 512]
    assert [item.end for item in layout.members] == ends
    assert [item.kind.encode() for item in layout.members] == [info.type for info in expected]
    assert layout.has_end


@pytest.mark.parametrize(("form", "plain"), [("ustar", LONG), ("gnu", LONG), ("pax", LONG[:100])])
def test_a_long_name_is_plain_in_all_forms_but_pax(form, plain):
    """As DALI reads it: the prefix of ustar and GNU's L count, a PAX record does not."""
    (found,) = layout_of(tar_of(LONG, form=form)).members
    assert (found.name, found.plain_name) == (LONG, plain)


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_names_longer_than_a_block_are_whole(form):
    content = tar_of(VERY_LONG * 3, link("1.jpg", VERY_LONG * 2), form=form)
    found = layout_of(content).members
    assert [item.name for item in found] == [VERY_LONG * 3, "1.jpg"]
    assert found[1].link_name == VERY_LONG * 2


@pytest.mark.parametrize(
    "name", ["a b.jpg", "a\nb.jpg", "é/ü.jpg", "a=b 7.jpg", "./1.jpg", " .jpg"]
)
@pytest.mark.parametrize("form", FORMATS)
def test_unusual_names_stay_as_they_are(form, name):
    assert names(tar_of(name, form=form)) == [name]


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_are_no_utf_8_are_kept_in_the_name(form):
    name = b"\xff\xfe/1.jpg".decode("utf-8", "surrogateescape")
    found = names(tar_of(name, form=form))
    assert [item.encode("utf-8", "surrogateescape") for item in found] == [b"\xff\xfe/1.jpg"]


def test_a_header_of_v7_has_a_name_of_at_most_100_bytes_and_no_prefix():
    block = bytearray(raw_header(b"n" * 100, b"%11o" % 3, kind=b"\0"))
    block[345:350] = b"other"  # GNU keeps times here
    (found,) = layout_of(with_sum(block) + padded(b"abc") + END).members
    assert (found.name, found.data_bytes, found.is_file) == ("n" * 100, 3, True)


def test_an_old_directory_is_told_by_its_name():
    content = raw_header(b"d/", b"", kind=b"\0") + raw_header(b"d/1.jpg", b"", kind=b"\0") + END
    assert [item.is_file for item in layout_of(content).members] == [False, True]


@pytest.mark.parametrize(
    "size", [b"3", b"00000000003\0", b"     3 \0", b"\x80" + bytes(10) + b"\3"]
)
def test_a_size_may_be_written_in_several_ways(size):
    content = raw_header(b"1.jpg", size) + padded(b"abc") + END
    assert layout_of(content).members[0].data_bytes == 3


def test_a_sum_of_signed_bytes_is_right_too():
    block = bytearray(raw_header(b"\xff.jpg", b"0"))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % (sum(block) - 256)
    assert len(layout_of(bytes(block) + END).members) == 1


def test_a_size_of_a_pax_record_holds_against_the_header():
    records = b"9 size=3\n"
    content = raw_header(b"p", b"%o" % len(records), b"x") + padded(records)
    content += raw_header(b"1.jpg", b"0") + padded(b"abc") + raw_header(b"2.jpg", b"0") + END
    assert [item.data_bytes for item in layout_of(content).members] == [3, 0]


def test_all_extended_headers_of_a_member_count():
    content = b""
    for records, kind in [(b"10 path=x\n", b"x"), (b"6 a=b\n", b"x"), (b"y\0", b"L")]:
        content += raw_header(b"p", b"%o" % len(records), kind) + padded(records)
    (found,) = layout_of(content + raw_header(b"1.jpg", b"0") + END).members
    assert (found.name, found.plain_name, found.start) == ("x", "y", 0)
    assert found.end == len(content) + 512


def test_a_link_or_directory_with_a_size_has_no_data():
    content = b"".join(
        raw_header(name, b"1000", kind)
        for name, kind in [(b"1.jpg", b"1"), (b"2.jpg", b"2"), (b"d/", b"5"), (b"e/", b"\0")]
    )
    assert [item.data_bytes for item in layout_of(content + END).members] == [0, 0, 0, 0]


def test_a_global_header_belongs_to_no_member():
    content = tar_of("1.jpg", "2.jpg", form="pax", pax_headers={"comment": "of all"})
    layout = layout_of(content)
    assert layout.global_headers == ((0, 1024),)
    assert [item.start for item in layout.members] == [1024, 2048]


def test_a_global_record_holds_until_a_member_has_another():
    def pax(records: bytes, kind: bytes) -> bytes:
        return raw_header(b"p", b"%o" % len(records), kind) + padded(records)

    plain = raw_header(b"1.jpg", b"0")
    content = pax(b"10 path=g\n", b"g") + plain + pax(b"10 path=x\n", b"x") + plain
    content += pax(b"8 path=\n", b"x") + plain + pax(b"8 path=\n", b"g") + plain
    assert names(content + END) == ["g", "x", "1.jpg", "1.jpg"]


@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_sparse_members_are_whole(form, tmp_path):
    """Also one with so many pieces that its map needs more than the header."""
    for name, num_pieces in [("1.jpg", 1), ("2.jpg", 60)]:
        with (tmp_path / name).open("wb") as file:
            for piece in range(num_pieces):
                file.seek(piece * 65536 + 32768)
                file.write(b"data" * 1024)
    (tmp_path / "3.jpg").write_bytes(b"plain")
    gnu_tar(
        "-C",
        tmp_path,
        "--sparse",
        f"--format={form}",
        "-cf",
        tmp_path / "s.tar",
        "1.jpg",
        "2.jpg",
        "3.jpg",
    )
    found = layout_of((tmp_path / "s.tar").read_bytes())
    assert [(item.name, item.is_sparse) for item in found.members] == [
        ("1.jpg", True), ("2.jpg", True), ("3.jpg", False)]  # fmt: skip
    assert found.members[1].data_bytes < 60 * 65536 // 2
    assert found.has_end


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_members_that_gnu_tar_wrote_are_those_that_it_lists(form, tmp_path):
    (tmp_path / "d").mkdir()
    for name in ["d/1.jpg", "d/1.txt", "d/v1.5_cat.jpg", ".hidden.jpg"]:
        (tmp_path / name).write_text(name)
    (tmp_path / "d/2.jpg").hardlink_to(tmp_path / "d/1.jpg")
    (tmp_path / "d/3.jpg").symlink_to("1.jpg")
    gnu_tar("-C", tmp_path, f"--format={form}", "-cf", tmp_path / "s.tar", "d", ".hidden.jpg")
    listed = gnu_tar("-tf", tmp_path / "s.tar").splitlines()
    assert len(listed) == 7
    assert sorted(names((tmp_path / "s.tar").read_bytes())) == sorted(listed)


@pytest.mark.parametrize(("form", "num_bytes"), [("ustar", 512), ("gnu", 512), ("pax", 1536)])
def test_only_headers_are_read(form, num_bytes):
    members = [
        member(f"{n}.jpg", b"x" * 3000, mtime=0.5 if form == "pax" else 0) for n in range(500)
    ]
    content = tar_of(*members, form=form)
    file = CountingFile(content)
    layout = read_layout(file, len(content), SOURCE)
    tail = len(content) - layout.members[-1].end
    assert len(layout.members) == 500
    assert file.num_bytes <= 1.05 * num_bytes * 500 + tail


@pytest.mark.parametrize("content", [END, bytes(512), bytes(10240)])
def test_a_shard_of_zero_blocks_has_no_members(content):
    layout = layout_of(content)
    assert (layout.members, layout.has_end) == ((), len(content) >= 1024)


@pytest.mark.parametrize("byte", [0, 1, 127, 128, 254, 255])
def test_the_sum_of_a_block_is_exact(byte):
    for block in (bytes([byte]) * 512, bytes([byte]) * 256 + bytes(256), bytes(range(256)) * 2):
        assert sum_of(block) == sum(block)
