"""NeMo Curator's numbers: positions of images in shards, and where they name none."""

import pytest

from dedup_lib.errors import (
    AmbiguousListError,
    TableFormatError,
    UnreadableFileError,
)
from tests.integration.shards.conftest import keys_in, members_of
from tests.support.tables.made import write_list
from tests.support.tables.made_shards import tar_of


def write_curators_shard(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_of(*names))


CURATOR = {"image_id_from": "curator"}


def test_curators_numbers_count_jpg_alone(remove_from, tmp_path):
    names = "0.jpg", "1.jpeg", "2.JPG", "3.png", "4.seg.jpg", "5.jpg"
    write_curators_shard(tmp_path / "shards/00000.tar", *names)
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    report = remove_from(tmp_path / "shards", listed, tmp_path / "out", **CURATOR)
    assert keys_in(tmp_path / "out") == ["0", "1", "2", "3", "4"]
    assert report.counts["null_id_rows"] == 4  # these were never compared


def test_a_long_name_of_pax_has_no_number(remove_from, tmp_path):
    (tmp_path / "shards").mkdir()
    long = "d" * 120 + ".jpg"
    (tmp_path / "shards/0.tar").write_bytes(tar_of(long, "1.jpg", form="pax"))
    listed = write_list(tmp_path / "list/1.parquet", ["0_000000"]).parent
    remove_from(tmp_path / "shards", listed, tmp_path / "out", **CURATOR)
    assert [name for name, _ in members_of(tmp_path / "out/0.tar")] == [long]


def test_one_name_in_two_folders_is_refused_with_numbers(refused, tmp_path):
    for folder in "ab":
        write_curators_shard(tmp_path / f"shards/{folder}/00000.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    words = r"two shards of one name, .*a/00000\.tar' and .*b/00000\.tar"
    given = CURATOR | {"output_format": "webdataset"}
    refused(TableFormatError, 3, words, tmp_path / "shards", listed, **given)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("00000_000002", "1 listed IDs name no image"),
        ("00001_000000", "begin with '00001', but .*begin with '00000'"),
        ("group_00000_x2_000000", "begin with 'group_00000_x2', but .* 2 in a task"),
        ("key", "begin with 'key', but"),
    ],
)
def test_numbers_that_name_no_image_are_refused(refused, tmp_path, name, words):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001", name]).parent
    given = CURATOR | {"output_format": "webdataset"}
    refused(AmbiguousListError, 3, words, tmp_path / "shards", listed, **given)


def test_the_same_numbers_are_refused_on_what_this_job_wrote(remove_from, refused, tmp_path):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg", "3.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    remove_from(tmp_path / "shards", listed, tmp_path / "out", **CURATOR)
    given = CURATOR | {"output_format": "webdataset", "output": tmp_path / "again"}
    refused(TableFormatError, 3, "was written by this job", tmp_path / "out", listed, **given)


def test_numbers_of_a_sample_that_is_torn_apart_are_refused(refused, tmp_path):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg", "1.txt", "2.txt")
    listed = write_list(tmp_path / "list/1.parquet", ["00000_000001"]).parent
    given = CURATOR | {"output_format": "webdataset"}
    refused(UnreadableFileError, 3, "lie apart", tmp_path / "shards", listed, **given)


def test_a_torn_sample_goes_with_all_its_members_by_its_key(remove_from, tmp_path):
    write_curators_shard(tmp_path / "shards/00000.tar", "1.jpg", "2.jpg", "1.txt", "2.txt")
    listed = write_list(tmp_path / "list/1.parquet", ["1"]).parent
    remove_from(tmp_path / "shards", listed, tmp_path / "out")
    assert [name for name, _ in members_of(tmp_path / "out/00000.tar")] == ["2.jpg", "2.txt"]


@pytest.mark.parametrize("id_from", ["curator:2", "curator"])
def test_shards_that_curator_read_together_are_numbered_together(remove_from, tmp_path, id_from):
    """In the order of their paths as text; the last one stands alone."""
    for number, names in {1: "ab", 2: "cd", 10: "ef"}.items():
        write_curators_shard(tmp_path / f"shards/shard-{number}.tar", *(f"{n}.jpg" for n in names))
    listed = write_list(
        tmp_path / "list/1.parquet",
        ["group_shard-1_x2_000001", "group_shard-1_x2_000002", "shard-2_000000"],
    )
    given = {"image_id_from": id_from, "max_removed_fraction": 1.0}
    remove_from(tmp_path / "shards", listed.parent, tmp_path / "out", **given)
    assert keys_in(tmp_path / "out") == ["a", "d", "f"]


def test_a_kept_plan_says_what_curator_read_together(remove_from, tmp_path):
    """There are no lists any more that could say it."""
    for number in range(3):
        write_curators_shard(tmp_path / f"shards/{number}.tar", "a.jpg", "b.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["group_0_x2_000003", "2_000001"]).parent
    plan = str(tmp_path / "plan")
    given = {"image_id_from": "curator", "max_removed_fraction": 1.0}
    remove_from(tmp_path / "shards", listed, None, dry_run=True, removed_output=plan, **given)
    remove_from(tmp_path / "shards", (), tmp_path / "out", apply_plan=plan, **given)
    shards = sorted((tmp_path / "out").glob("*.tar"))
    names = [[name for name, _ in members_of(shard)] for shard in shards]
    assert names == [["a.jpg", "b.jpg"], ["a.jpg"], ["a.jpg"]]


def test_a_list_to_protect_also_says_what_curator_read_together(remove_from, tmp_path, caplog):
    """The lists are asked for it before the shards are read, but warn only once."""
    for number in range(2):
        write_curators_shard(tmp_path / f"shards/{number}.tar", f"{number}a.jpg", f"{number}b.jpg")
    ids = ["group_0_x2_000001", "group_0_x2_000002"]
    listed = write_list(tmp_path / "list/1.parquet", ids).parent
    kept = write_list(tmp_path / "kept/1.parquet", ids[:1]).parent
    for directory in (listed, kept):
        (directory / "notes.docx").write_bytes(b"?")
    given = CURATOR | {"protect_ids": (str(kept),)}
    remove_from(tmp_path / "shards", listed, tmp_path / "out", **given)
    assert keys_in(tmp_path / "out") == ["0a", "0b", "1b"]
    assert [text.count("notes.docx") for text in caplog.messages if "skipped" in text] == [1, 1]


@pytest.mark.parametrize(
    "prefixes",
    [
        ["group_4_x3"],  # the last group alone: of 3, or of 4
        ["group_0_x2", "group_2_x3"],
        ["group_1_x2"],
        ["group_0_x3", "group_0_x2"],
        ["group_0_x2", "3"],
    ],
)
def test_groups_that_are_not_those_of_the_shards_are_refused(refused, tmp_path, prefixes):
    for number in range(7):
        write_curators_shard(tmp_path / f"shards/{number}.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", [f"{one}_000000" for one in prefixes]).parent
    given = CURATOR | {"output_format": "webdataset"}
    words = f"'({'|'.join(prefixes)})', but .*--image-id-from curator:N"
    refused(AmbiguousListError, 3, words, tmp_path / "shards", listed, **given)


def test_a_list_that_can_not_be_read_is_refused_as_for_other_ids(refused, tmp_path):
    write_curators_shard(tmp_path / "shards/0.tar", "1.jpg", "2.jpg")
    (tmp_path / "list").mkdir()
    (tmp_path / "list/1.parquet").write_bytes(b"")
    given = CURATOR | {"output_format": "webdataset"}
    refused(
        UnreadableFileError, 3, "can't be read", tmp_path / "shards", tmp_path / "list", **given
    )


def test_another_size_of_groups_is_refused(refused, tmp_path):
    for number in range(4):
        write_curators_shard(tmp_path / f"shards/{number}.tar", "1.jpg", "2.jpg")
    listed = write_list(tmp_path / "list/1.parquet", ["group_0_x2_000003"]).parent
    given = {"output_format": "webdataset", "image_id_from": "curator:3", "allow_no_matches": True}
    refused(AmbiguousListError, 3, "name no image", tmp_path / "shards", listed, **given)
