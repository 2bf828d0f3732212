"""Which files of a Delta log are its newest checkpoint."""

import pytest

from dedup_lib.delta.log import _newest_checkpoint

ONE = f"{10:020d}.checkpoint.parquet"
PARTS = [f"{20:020d}.checkpoint.{part:010d}.{3:010d}.parquet" for part in (1, 2, 3)]
V2 = f"{30:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
OTHERS = [
    f"{10:020d}.json",
    f"{10:020d}.crc",
    f"{1:020d}.{9:020d}.compacted.json",
    f"{30:020d}.json",
]


@pytest.mark.parametrize(
    ("names", "version", "expected"),
    [
        ([], 40, (-1, [])),
        ([ONE, *PARTS, V2], 9, (-1, [])),
        ([ONE, *PARTS, V2], 10, (10, [ONE])),
        ([ONE, *PARTS, V2], 29, (20, PARTS)),
        ([ONE, *PARTS[:2]], 40, (10, [ONE])),  # the third part is yet to come
        ([ONE, *PARTS, V2], 30, (30, [V2])),
    ],
)
def test_the_newest_whole_checkpoint_up_to_a_version_is_taken(names, version, expected):
    assert _newest_checkpoint([*OTHERS, *names], version) == expected
