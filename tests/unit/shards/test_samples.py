"""Members become samples by their key, and images get the numbers that Curator gives them."""

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup_lib.executor.shards.samples import split_name
from tests.support.tables.made_shards import (
    END,
    link,
    member,
    raw_header,
    shard_of,
    tar_of,
)

LONG = "x" * 60 + "/" + "y" * 56 + ".jpg"


def keys(*names: object, **options: object) -> list[str]:
    return [sample.key for sample in shard_of(tar_of(*names, **options)).samples]


def numbers(*names: object, **options: object) -> dict[str, tuple[int, ...]]:
    """Curator's numbers of each key."""
    samples = shard_of(tar_of(*names, **options)).samples
    return {sample.key: sample.curator_numbers for sample in samples}


@pytest.mark.parametrize(
    ("name", "key", "suffix"),
    [
        ("1.jpg", "1", "jpg"),
        ("a/b.c/d.seg.jpg", "a/b.c/d", "seg.jpg"),
        ("photo.JPG", "photo", "JPG"),
        ("v1.5_cat.jpg", "v1", "5_cat.jpg"),
        ("./1.jpg", "./1", "jpg"),
        ("a b\n.jpg", "a b\n", "jpg"),
        ("/1.jpg", "/1", "jpg"),
        ("\udcff.jpg", "\udcff", "jpg"),
        ("1.", "1", ""),
        ("a/__b__/1.jpg", "a/__b__/1", "jpg"),
        ("__a/1.jpg", "__a/1", "jpg"),
        ("a__/_1__.jpg", "a__/_1__", "jpg"),
    ],
)
def test_a_name_is_split_at_the_first_dot_of_its_base_name(name, key, suffix):
    assert split_name(name) == (key, suffix, False)


@pytest.mark.parametrize(
    "name", [".hidden.jpg", "noext", "a.b/noext", "..jpg", ".", "d/", "", "._x"]
)
def test_a_name_may_have_no_key(name):
    assert split_name(name) is None


@pytest.mark.parametrize("name", ["__meta__/1.jpg", "____/1.jpg", "__x.jpg", "d/__x.jpg",
    "dir/.h.jpg", "dir/..jpg", "/.jpg"])  # fmt: skip
def test_a_name_on_which_readers_disagree_belongs_to_no_sample(name):
    shard = shard_of(tar_of("1.jpg", name))
    assert split_name(name).is_disputed
    assert [sample.key for sample in shard.samples] == ["1"]
    assert (shard.sample_indexes, shard.num_disputed, shard.num_without_key) == ((0, None), 1, 0)


def test_members_without_a_key_are_counted():
    folder = member("d.x", type=tarfile.DIRTYPE, size=0)
    pipe = member("p.jpg", type=tarfile.FIFOTYPE, size=0)
    shard = shard_of(tar_of(folder, "noext", "1.jpg", ".h.jpg", pipe, "1.txt"))
    assert shard.num_without_key == 4
    assert shard.sample_indexes == (None, None, 0, None, None, 0)
    assert not shard.samples[0].is_torn


def test_a_sample_has_all_members_of_its_key_wherever_they_lie():
    shard = shard_of(tar_of("1.jpg", "2.jpg", "1.txt", "2.txt", "3.jpg", "3.JPG"))
    found = [([item.name for item in sample.members], sample.is_torn) for sample in shard.samples]
    assert found == [
        (["1.jpg", "1.txt"], True),
        (["2.jpg", "2.txt"], True),
        (["3.jpg", "3.JPG"], False),
    ]


def test_the_same_base_name_in_two_directories_is_two_keys():
    assert keys("a/1.jpg", "b/1.jpg", "1.jpg", "./1.jpg") == ["a/1", "b/1", "1", "./1"]


def test_equal_names_in_a_sample_are_told():
    shard = shard_of(tar_of("1.jpg", "1.jpg", "2.jpg", "2.JPG"))
    assert [sample.has_equal_names for sample in shard.samples] == [True, False]


def test_a_disputed_member_between_tears_a_sample_apart():
    assert shard_of(tar_of("1.jpg", "__x.jpg", "1.txt")).samples[0].is_torn


def test_links_belong_to_samples():
    soft = link("2.jpg", "1.jpg", tarfile.SYMTYPE)
    shard = shard_of(tar_of("1.jpg", link("1.png", "1.jpg"), soft, "2.txt"))
    assert [len(sample.members) for sample in shard.samples] == [2, 2]
    assert [sample.curator_numbers for sample in shard.samples] == [(0,), ()]


def test_curator_counts_the_suffix_jpg_only():
    found = numbers("0.jpg", "1.jpeg", "2.JPG", "3.png", "4.seg.jpg", "5.jpg", "a.b/6.jpg")
    assert found == {"0": (0,), "1": (), "2": (), "3": (), "4": (), "5": (1,), "a.b/6": (2,)}


def test_curator_does_not_see_names_in_pax_records():
    assert numbers(LONG, "2.jpg", form="pax") == {LONG[:-4]: (), "2": (0,)}


@pytest.mark.parametrize("form", ["gnu", "ustar"])
def test_curator_sees_other_long_names(form):
    assert numbers(LONG, "2.jpg", form=form) == {LONG[:-4]: (0,), "2": (1,)}


def test_two_images_that_have_one_plain_name_are_one_for_curator():
    """Python writes `?` there for what is not ASCII, and the name into a PAX record."""
    assert numbers("é.jpg", "ü.jpg", "3.jpg", form="pax") == {"é": (0,), "ü": (), "3": (1,)}


def test_curator_counts_what_the_common_rule_disputes():
    names = ["__meta__/1.jpg", "2.jpg", "__x.jpg", "d/.jpg", "jpg", ".jpg", "3.jpg"]
    shard = shard_of(tar_of(*names))
    assert [sample.curator_numbers for sample in shard.samples] == [(1,), (5,)]
    assert shard.num_curator_images == 6


def test_curator_counts_a_key_again_after_another_key():
    found = numbers("1.jpg", "1.jpg", "2.jpg", "1.jpg", "3.txt", "3.jpg")
    assert found == {"1": (0, 2), "2": (1,), "3": (3,)}


def test_curator_takes_no_links_directories_and_sparse_members():
    content = b"".join(
        raw_header(b"%d.jpg" % number, b"0", bytes([kind]))
        for number, kind in enumerate(b"0127S5\0")
    )
    found = [sample.curator_numbers for sample in shard_of(content + END).samples]
    assert found == [(0,), (), (), (1,), (), (2,)]


def test_a_shard_without_members_has_no_samples():
    shard = shard_of(END)
    assert (shard.samples, shard.num_curator_images) == ((), 0)


@given(
    names=st.lists(
        st.text(st.sampled_from("ab./_"), min_size=1, max_size=6).map(lambda name: f"{name}.j")
        | st.sampled_from(["a.j", "a.b/c.j", "a./b.j", "b.j", "b.k", "__a.j", "a.j/"]),
        max_size=12,
    )
)
@settings(max_examples=150, deadline=None)
def test_samples_are_the_keys_of_all_names(names):
    """However the members lie: each name is split alone here."""
    shard = shard_of(tar_of(*names))
    parts = [split_name(item.name) if item.is_file else None for item in shard.layout.members]
    own = [part.key if part and not part.is_disputed else None for part in parts]
    expected = list(dict.fromkeys(key for key in own if key is not None))
    assert [sample.key for sample in shard.samples] == expected
    assert [i if i is None else expected[i] for i in shard.sample_indexes] == own
    assert [len(sample.members) for sample in shard.samples] == [own.count(k) for k in expected]
    all_keys = [part.key for part in parts if part]
    runs = [key for key, before in zip(all_keys, [None, *all_keys], strict=False) if key != before]
    assert [sample.is_torn for sample in shard.samples] == [runs.count(k) > 1 for k in expected]
