"""Random groups, in every shape that lists have, under random names: none wipes a group.

More of it: `SHAPE_EXAMPLES=20 python -m pytest tests/property/test_list_shapes.py`.
"""

from __future__ import annotations

import os
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup_lib import DuplicateIds
from tests.support.tables.list_runs import ListRuns
from tests.support.tables.list_shapes import group_shapes, pair_shapes, plain_shapes
from tests.support.tables.made import image_rows, write_parquet

SLOW = settings(
    max_examples=int(os.environ.get("SHAPE_EXAMPLES", "1")),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Letters that make no name that says something: those that do are in tests/unit/lists.
LETTERS = "bcfghjkmnpqtvwxyz"
SOME_NAMES = ("image_id", "key", "uid", "path", "filename", "docs_to_remove")


def random_case(seed):
    """Groups of images, single images, and names of columns."""
    random = Random(seed)
    sizes = [random.randint(2, 5) for _ in range(random.randint(3, 6))]
    ids = [f"id-{number:02d}" for number in range(sum(sizes) + random.randint(1, 10))]
    random.shuffle(ids)
    left = iter(ids)
    groups = [[next(left) for _ in range(size)] for size in sizes]
    names = ["".join(random.choices(LETTERS, k=4)) + f"_{number}" for number in range(3)]
    return groups, list(left), names


def shapes(groups, singles, names):
    yield from group_shapes(groups, singles, names)
    for chained in (False, True):
        yield from pair_shapes(groups, names, chained=chained)
    yield from plain_shapes(groups, [*SOME_NAMES, names[0]])


@pytest.fixture
def numbered(tmp_path):
    """A new folder at each call."""
    numbers = count()
    return lambda: tmp_path / str(next(numbers))


@SLOW
@given(seed=st.integers(0, 2**32))
def test_no_shape_wipes_a_group_and_with_its_flags_each_is_right(spark, numbered, seed):
    case = random_case(seed)
    groups, singles, _ = case
    folder = numbered()
    images = image_rows(sorted([*singles, *(one for group in groups for one in group)]))
    (folder / "plans").mkdir(parents=True)
    runs = ListRuns(spark, write_parquet(images, folder / "images.parquet"), folder / "plans")
    written = list(shapes(*case))
    if "SHAPE_EXAMPLES" not in os.environ:  # all of them take a minute
        written = Random(seed).sample(written, 9)
    lists = {
        write_parquet(shape.table, folder / f"lists/{number}.parquet"): shape
        for number, shape in enumerate(written)
    }
    pinned = runs.pinned("image_id")
    for path, shape in lists.items():
        for id_column in (None, shape.id_column):
            error = runs.stop(pinned, DuplicateIds(str(path), id_column))
            assert (error is None) == shape.is_right, (shape.name, error)
            assert error is None or error.exit_code == 3, error
    settled = {path: shape for path, shape in lists.items() if shape.stays != "unknown"}
    asked = [
        DuplicateIds(str(path), shape.id_column, **shape.flags) for path, shape in settled.items()
    ]
    is_limited = any(item.score_means == "similarity" for item in asked)
    removed = runs.removed("image_id", asked, eps=0.1 if is_limited else None)
    others = {one for group in groups for one in sorted(group)[1:]}
    for path, shape in settled.items():
        assert removed[str(path)] == others, shape.name
