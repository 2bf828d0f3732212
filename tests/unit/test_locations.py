import pytest

from dedup_lib.locations import child, with_parents


@pytest.mark.parametrize(
    ("location", "above"),
    [
        ("file:/a/b/c", ["file:/a/b", "file:/a", "file:/"]),
        ("hdfs://node:8020/a/b", ["hdfs://node:8020/a", "hdfs://node:8020/"]),
        ("s3a://bucket/images", ["s3a://bucket/"]),
        ("s3a://bucket/", []),
        ("file:/a", ["file:/"]),
        ("file:/a:b/c", ["file:/a:b", "file:/"]),
    ],
)
def test_the_parents_of_a_location_end_at_its_root_and_not_at_its_host(location, above):
    assert with_parents(location) == [location, *above]


@pytest.mark.parametrize("root", ["file:/", "s3a://bucket/", "hdfs://node:8020/"])
def test_what_is_in_a_root_has_one_slash_before_its_name(root):
    assert child(root, "x") == f"{root}x"
    assert with_parents(child(root, "x")) == [f"{root}x", root]
