"""Places of tables: nothing is an image table that lies inside a Delta table."""

import pytest

from dedup_lib.delta.detail import check_not_in_delta


class NoTables:
    """A storage that holds nothing, and notes where it was asked for a Delta log."""

    def __init__(self):
        self.asked = []

    def is_directory(self, location):
        self.asked.append(location)
        return False


@pytest.mark.parametrize(
    ("location", "parents"),
    [
        ("file:/a/b/c", ["file:/a/b", "file:/a"]),
        ("hdfs://node:8020/a/b", ["hdfs://node:8020/a", "hdfs://node:8020"]),
        ("s3a://bucket/images", ["s3a://bucket"]),
        ("s3a://bucket", []),
        ("file:/a", []),
    ],
)
def test_a_delta_log_is_looked_for_in_the_parents_and_not_in_place_of_a_host(location, parents):
    storage = NoTables()
    check_not_in_delta(storage, location, "image table")
    assert storage.asked == [f"{parent}/_delta_log" for parent in parents]
