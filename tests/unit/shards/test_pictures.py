"""The pictures of samples, read from where the plan noted their members."""

from contextlib import contextmanager

import pytest

from dedup_lib.executor.bounds import Bounds
from dedup_lib.executor.parquet_values.file_slices import slice_of_bytes
from dedup_lib.executor.picture_reads import RowPosition, read_pictures
from dedup_lib.executor.shards.pictures import NotedMembers, note_members
from tests.support.tables.made_shards import link, member, shard_of, tar_of

pytest.importorskip("PIL", reason="Pillow isn't installed")

from tests.support.review.made_review import encoded  # needs Pillow


def noted_in(content: bytes) -> list[tuple[str | None, str | None]]:
    """The data of the noted members of each sample."""
    columns = note_members(shard_of(content).samples, is_plain=True).values()
    data = ([_data(content, noted) for noted in column] for column in columns)
    return list(zip(*data, strict=True))


def _data(content: bytes, noted: str | None) -> str | None:
    if noted is None:
        return None
    start, size = map(int, noted.split("+"))
    return content[start : start + size].decode()


@pytest.mark.parametrize(
    ("members", "image", "caption"),
    [
        (["1.jpg", "1.json", "1.txt"], "1.jpg", "1.txt"),
        (["1.txt", "1.TXT", "1.PNG", "1.jpg"], "1.PNG", "1.txt"),
        (["1.seg.png", "1.cls", "1.webp"], "1.webp", None),
        (["1.seg.png", "1.json"], None, None),
        (["1.dedup.json", link("1.jpg", "0.jpg"), "1.gif"], "1.gif", None),
    ],
)
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_the_first_member_with_the_suffix_of_an_image_is_the_picture(members, image, caption, form):
    assert noted_in(tar_of(*members, form=form)) == [(image, caption)]


def test_each_sample_has_its_own():
    content = tar_of("1.jpg", "2.json", "1.txt", "README", "3.jpeg")
    assert noted_in(content) == [("1.jpg", "1.txt"), (None, None), ("3.jpeg", None)]


def opener(content):
    """What opens each file as a slice that has this content."""

    @contextmanager
    def opened(_):
        yield slice_of_bytes(content)

    return opened


def read(content, rows, *, file_bytes=None):
    """The pictures of rows, and what was read of the shard."""
    columns = note_members(shard_of(content).samples, is_plain=True).values()
    noted = dict(enumerate(zip(*columns, strict=True)))
    positions = [RowPosition("s3a://b/0.tar", row, file_bytes or len(content)) for row in rows]
    source = NotedMembers({row: noted[row.row_index] for row in positions})
    return read_pictures(positions, source, opener(content), Bounds())


def test_pictures_are_read_with_their_captions_and_nothing_else_is():
    images = [encoded("teal", (40 + number, 30)) for number in range(3)]
    parts = [
        (member(f"{number}.jpg", image), member(f"{number}.txt", b"caption"))
        for number, image in enumerate(images)
    ]
    content = tar_of(*(one for part in parts for one in part))
    found, read_bytes = read(content, [2, 0])
    shown = [(one.thumbnail.width, one.size_bytes, one.texts) for one in found.values()]
    caption = {"txt": "caption"}
    assert shown == [(42, len(images[2]), caption), (40, len(images[0]), caption)]
    assert read_bytes == len(images[2]) + len(images[0]) + 2 * len(b"caption")


def test_what_is_not_there_or_not_readable_has_a_reason():
    long = member("1.txt", b"x" * 100_001)
    content = tar_of("0.json", "0.txt", member("1.jpg", encoded("teal")), long, "2.jpg")
    found, _ = read(content, range(3))
    none, picture, broken = found.values()
    assert "no member with the suffix" in none.thumbnail.reason
    assert none.texts == {"txt": "0.txt"}
    assert (picture.thumbnail.reason, picture.texts) == (None, None)
    assert "unknown image format" in broken.thumbnail.reason


def test_of_a_shard_that_was_changed_nothing_is_shown():
    found, read_bytes = read(tar_of("0.jpg", "1.jpg"), [0, 1], file_bytes=1)
    reasons = {one.thumbnail.reason for one in found.values()}
    assert reasons == {"not read: its file was replaced in the meantime"}
    assert read_bytes == 0


def test_of_a_compressed_shard_nothing_is_read():
    content = tar_of("0.jpg")
    noted = note_members(shard_of(content).samples, is_plain=False)
    row = RowPosition("s3a://b/0.tar.gz", 0, len(content))
    source = NotedMembers({row: tuple(column[0] for column in noted.values())})
    found, read_bytes = read_pictures([row], source, opener(content), Bounds())
    assert (found[row].thumbnail.reason, read_bytes) == ("not read: its shard is compressed", 0)
