"""`make test-shards`: what its comparison finds."""

import copy

import pytest

from tests.judges.compare import (
    DifferenceError,
    Removal,
    check,
    listed_by_tar,
    removal_by_curator,
)
from tests.support.tables.made_shards import member, tar_of

KEYS = ("a", "b", "c")
READ = {
    "webdataset": [
        {"shard": "0.tar", "key": key, "size": [16, 16 + n], "members": {"jpg": f"jpg of {key}"}}
        for n, key in enumerate(KEYS)
    ],
    "datasets": [{"shard": "0.tar", "key": key, "members": {"jpg": key}} for key in KEYS],
    "DALI": [
        {"id": f"0_00000{n}", "size": [16, 16 + n], "pixels": f"pixels of {key}"}
        for n, key in enumerate(KEYS)
    ],
    "tar -tv": [{"shard": "0.tar", "key": key, "facts": ["0644", f"{key}.jpg"]} for key in KEYS],
}
KEPT = [["0_000000", [16, 16], "pixels of a"], ["0_000002", [16, 18], "pixels of c"]]


def output():
    read = {judge: [found[0], found[2]] for judge, found in copy.deepcopy(READ).items()}
    read["DALI"][1]["id"] = "0_000001"
    return read


def test_an_output_without_the_listed_samples_is_right():
    removal = removal_by_curator(READ, KEPT)
    assert removal.keys == {"b"}
    check(removal, 1, READ, output())
    check(Removal({"b"}), 1, READ, output())


def test_another_count_than_the_jobs_is_found():
    with pytest.raises(DifferenceError, match="2 samples removed, expected 1"):
        check(Removal({"b"}), 2, READ, output())


@pytest.mark.parametrize("judge", READ)
@pytest.mark.parametrize("fault", ["lost", "twice", "in another place", "changed", "not removed"])
def test_each_judge_finds_each_fault(judge, fault):
    after = output()
    found = after[judge]
    changes = {
        "lost": found[:1],
        "twice": [*found, found[-1]],
        "in another place": found[::-1],
        "changed": [found[0], found[1] | {list(found[1])[-1]: "x"}],
        "not removed": READ[judge],
    }
    after[judge] = changes[fault]
    with pytest.raises(DifferenceError, match=judge):
        check(Removal({"b"}), 1, READ, after)


def test_other_images_than_curators_are_found():
    with pytest.raises(DifferenceError, match="Curator"):
        check(Removal({"b"}, KEPT[::-1]), 1, READ, output())


def test_pictures_of_one_size_are_no_oracle():
    read = copy.deepcopy(READ)
    read["DALI"][0]["size"] = read["DALI"][1]["size"]
    with pytest.raises(DifferenceError, match="one size"):
        removal_by_curator(read, KEPT)


def test_tar_lists_members_with_their_keys(tmp_path):
    (tmp_path / "0.tar").write_bytes(tar_of("./d/a.seg.jpg", "b 1.txt"))
    found = listed_by_tar(tmp_path)
    assert [one["key"] for one in found] == ["./d/a", "b 1"]
    assert [one["facts"][5] for one in found] == ["./d/a.seg.jpg", "b 1.txt"]


def test_what_tar_says_of_a_member_does_not_depend_on_others(tmp_path):
    """It aligns columns: after a time of many digits another gets blanks."""
    times = {"0.jpg": 1_700_000_000.123456789, "1.jpg": 1_700_000_000.5}
    members = [member(name, b"x", mtime=time) for name, time in times.items()]
    for name, some in {"both": members, "one": members[1:]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.tar").write_bytes(tar_of(*some, form="pax"))
    both, one = (listed_by_tar(tmp_path / name) for name in ("both", "one"))
    assert both[1] == one[0]
