"""Lists that name every copy under columns of any name are refused by what they hold."""

import math

import numpy as np
import pyarrow as pa
import pytest

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import AmbiguousListError
from tests.support.tables.made import delta_table, image_rows, write_parquet

IDS = [f"id-{letter}" for letter in "abcdefgh"]
LISTED = ["id-a", "id-b", "id-c", "id-d"]


@pytest.fixture
def planned(spark, tmp_path):
    """Plan only: the IDs that would go."""
    write_parquet(image_rows(IDS), tmp_path / "images/1.parquet")

    def planned(*lists, **settings):
        asked = Settings(
            images=str(tmp_path / "images"),
            duplicate_ids=tuple(DuplicateIds(str(path)) for path in lists),
            dry_run=True,
            **settings,
        )
        return run(spark, asked).counts["removed_rows"]

    return planned


GROUPS = {
    "two sets of text": pa.array(["x", "x", "y", "y"]),
    "two sets of numbers": pa.array([7, 7, 8, 8]),
    "a set and single images": pa.array([7, 7, 8, 9]),
    "numbers as pandas writes them if some are missing": pa.array([7.0, 7.0, 8.0, None]),
    "one set, the noise of DBSCAN, and another": pa.array([0, 0, -1, 1]),
    "dictionaries": pa.array(["x", "x", "y", "y"]).dictionary_encode(),
    "floats with NaN": pa.array([7.0, 7.0, 8.0, math.nan]),
    "structures": pa.array([{"a": 1}, {"a": 1}, {"a": 2}, {"a": 3}]),
}
PAIRS = {
    "pairs in both directions": ["id-b", "id-a", "id-d", "id-c"],
    "a chain": ["id-b", "id-c", "id-d", None],
    "keepers that are not listed": ["id-e", "id-f", "id-g", "id-h"],
    "one keeper": ["id-e", "id-e", "id-e", "id-e"],
    "neighbours of each": [["id-b"], ["id-a", "id-x"], [], None],
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *((values, r"[34] IDs in [23] values of 'zz'") for values in GROUPS.values()),
        *((values, r"column 'zz' .* may hold pairs") for values in PAIRS.values()),
    ],
    ids=[*GROUPS, *PAIRS],
)
def test_g11_a_list_that_may_name_every_copy_is_refused(planned, tmp_path, values, message):
    path = write_parquet(pa.table({"id": LISTED, "zz": values}), tmp_path / "list.parquet")
    with pytest.raises(AmbiguousListError, match=message) as refused:
        planned(path)
    assert refused.value.exit_code == 3
    assert planned(path, list_kind="remove") == 4


@pytest.mark.parametrize(
    "columns",
    [
        {"zz": ["same"] * 4, "yy": [1, 2, 3, 4], "xx": ["p", "q", "r", "s"]},
        {"width": [10, 10, 20, 20], "Label": ["cat", "cat", "dog", "dog"]},
        {"sim": [0.5, 0.5, 0.75, 0.75]},
        {"cnn_score": [1.0, 1.0, 0.0, 0.0], "zz": pa.nulls(4)},
        {"zz": [-1, -1, 5, -1], "yy": ["", "", None, ""]},
        {"when": np.array(["2026-01-01", "2026-01-01", "2026-02-01", "2026-02-01"], "M8[us]")},
    ],
    ids=["equal or different", "by name", "types", "scores", "no groups", "times"],
)
def test_what_describes_images_is_no_group(planned, tmp_path, columns):
    path = write_parquet(pa.table({"id": LISTED} | columns), tmp_path / "list.parquet")
    assert planned(path) == 4


def test_g11_files_of_a_list_are_looked_at_together(planned, tmp_path):
    """Each file has one member of each set; a file lacks the column, another has more."""
    for number in range(2):
        listed = {"id": LISTED[2 * number :][:2], "zz": ["x", "y"]} | (
            {"a.b": [1, 2]} if number else {}
        )
        write_parquet(pa.table(listed), tmp_path / f"list/{number}.parquet")
    write_parquet(pa.table({"id": ["id-e"]}), tmp_path / "list/2.parquet")
    with pytest.raises(AmbiguousListError, match="4 IDs in 2 values of 'zz'"):
        planned(tmp_path / "list")


def test_g11_a_delta_list_is_looked_at_too(spark, planned, tmp_path):
    path = write_parquet(pa.table({"ID2": LISTED, "id": LISTED[::-1]}), tmp_path / "list.parquet")
    table = delta_table(spark.read.parquet(str(path)), tmp_path / "delta")
    with pytest.raises(AmbiguousListError, match=r"'ID2' beside its IDs .*4 of these IDs"):
        planned(table)
    with pytest.raises(AmbiguousListError, match=r"'id' beside its IDs .'ID2'"):
        planned(table, duplicate_id_column="ID2")


@pytest.mark.parametrize("other", [pa.float64(), pa.int32()])
def test_g11_ids_of_another_type_are_other_images(planned, tmp_path, other):
    """pandas writes the numbers of neighbours as floats if one is missing."""
    write_parquet(image_rows([1, 2, 3, 4], id_type=pa.int64()), tmp_path / "images/1.parquet")
    listed = pa.table({"id": [1, 2, 3, 4], "zz": pa.array([2, 1, 4, None], other)})
    with pytest.raises(AmbiguousListError, match=r"'zz' .* may hold pairs"):
        planned(write_parquet(listed, tmp_path / "list.parquet"))


def test_g11_partitions_may_be_groups(planned, tmp_path):
    for number, letter in enumerate("abcd"):
        listed = pa.table({"id": [f"id-{letter}"]})
        write_parquet(listed, tmp_path / f"sets/dup_set={number // 2}/{number}.parquet")
        write_parquet(listed, tmp_path / f"days/dt={number}/on=2026-11-0{number}/1.parquet")
    with pytest.raises(AmbiguousListError, match="2 partitions by 'dup_set'"):
        planned(tmp_path / "sets")
    assert planned(tmp_path / "sets", list_kind="remove") == 4
    assert planned(tmp_path / "days") == 4


def test_a_list_of_one_column_is_not_read_for_this(planned, tmp_path, monkeypatch):
    monkeypatch.delattr("dedup_lib.plan.inputs.refuse_groups_and_pairs")
    assert planned(write_parquet(pa.table({"id": LISTED}), tmp_path / "list.parquet")) == 4


NUMBERS = np.arange(4096)
FEW = NUMBERS % 5 + 2  # none of 2, 3, 4, 5, 6 is in the sample
LONG = {
    "pairs": (NUMBERS // 2, 2048),
    "a few large groups": (FEW, 5),
    "a few large groups beside single images": (np.where(NUMBERS < 2048, FEW, NUMBERS), 2053),
    "a few small groups, and most in none": (np.where(NUMBERS < 20, FEW, -1), 5),
}


@pytest.fixture
def few_sampled(monkeypatch):
    """Look for equal values in a list of 4,096 rows by a sample of 512 of them."""
    monkeypatch.setattr("dedup_lib.lists.repeats.SAMPLED_ROWS", 512)


@pytest.mark.parametrize(("values", "num_values"), LONG.values(), ids=LONG)
@pytest.mark.usefixtures("few_sampled")
def test_g11_groups_in_long_lists_are_found_by_a_sample(planned, tmp_path, values, num_values):
    listed = pa.table({"id": [f"id-{number}" for number in NUMBERS], "zz": values})
    with pytest.raises(AmbiguousListError, match=rf" IDs in {num_values} values of 'zz'"):
        planned(write_parquet(listed, tmp_path / "list.parquet"))


@pytest.mark.usefixtures("few_sampled")
def test_g11_of_several_columns_the_one_that_repeats_is_named(planned, tmp_path):
    columns = {"xx": NUMBERS, "yy": [None, *NUMBERS[1:]], "zz": NUMBERS // 2, "ww": NUMBERS * 1.5}
    listed = pa.table({"id": [f"id-{number}" for number in NUMBERS]} | columns)
    with pytest.raises(AmbiguousListError, match="4096 IDs in 2048 values of 'zz'"):
        planned(write_parquet(listed, tmp_path / "list.parquet"))


@pytest.mark.parametrize(
    "values",
    [NUMBERS, np.zeros(4096, int), NUMBERS % 7 / 2, [None] * 4095 + ["x"]],
    ids=["different", "equal", "fractions", "one value"],
)
@pytest.mark.usefixtures("few_sampled")
def test_long_lists_with_other_columns_pass(planned, tmp_path, values):
    ids = ["id-a", *(f"id-{number}" for number in NUMBERS[1:])]
    listed = pa.table({"id": ids, "zz": values})
    assert planned(write_parquet(listed, tmp_path / "list.parquet")) == 1
