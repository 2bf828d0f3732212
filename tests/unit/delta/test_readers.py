"""Which partitions have paths that other readers of Delta stumble over."""

import pytest

from dedup_lib.delta.readers import columns_with_escapes

ROOT = "s3a://bucket/my%20images"


@pytest.mark.parametrize(
    ("directories", "columns"),
    [
        (["split=train/kind=jpeg", "split=a+b/kind=x,y(z)"], []),
        (["split=train/kind=jpeg", "split=test%20set/kind=jpeg"], ["split"]),
        (["split=caf\u00e9/kind=jpeg"], ["split"]),
        (["split=train/kind=10%253A30", "split=caf\u00e9/kind=jpeg"], ["split", "kind"]),
        (["split=train/kind=__HIVE_DEFAULT_PARTITION__"], []),
        (["Oq", "z%20"], []),
    ],
    ids=["none", "a space", "an accent", "both", "NULL", "column mapping"],
)
def test_columns_whose_values_need_escapes_are_named_in_their_order(directories, columns):
    paths = [f"{ROOT}/{directory}/part-0.parquet" for directory in directories]
    assert columns_with_escapes(["split", "kind"], paths) == columns


def test_without_partitions_no_path_is_looked_at():
    assert columns_with_escapes([], [f"{ROOT}/part-0.parquet"]) == []
