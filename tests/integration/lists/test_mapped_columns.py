"""Lists whose columns the user maps: groups, keepers, partners and scores under any names."""

import logging
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    AmbiguousListError,
    ColumnTypeError,
    LostKeeperError,
    MissingColumnError,
    SettingsError,
)
from tests.support.tables.made import image_rows, write_parquet

IDS = list("abcdefgh")
# `a` is the smallest ID, `b` and `c` are the widest images, `c` is the heavier one.
NAN = math.nan
COLUMNS = {
    "width": [10, 30, 30, None, 10, 10, 10, 10],
    "weight": [1.0, 1.0, 2.0, 3.0, NAN, NAN, NAN, NAN],
}


@pytest.fixture
def images(tmp_path):
    rows = image_rows(IDS).drop_columns(["width"])
    for name, values in COLUMNS.items():
        rows = rows.append_column(name, pa.array(values))
    return write_parquet(rows, tmp_path / "images/1.parquet").parent


@pytest.fixture
def removed(spark, images, tmp_path):
    """Plan only: the IDs that go by a list of these columns."""

    def removed(columns, **settings):
        path = write_parquet(pa.table(columns), tmp_path / "list.parquet")
        plan = tmp_path / "plan"
        asked = {"id_column": settings.pop("id_column", None)}
        removed.report = run(
            spark,
            Settings(
                images=str(images),
                duplicate_ids=(DuplicateIds(str(path), **asked),),
                dry_run=True,
                removed_output=str(plan),
                output_mode="overwrite",
                **settings,
            ),
        )
        removed.plan = pq.read_table(plan)
        going = sorted(removed.plan["image_id"].to_pylist())
        return "".join(going) if isinstance(going[0], str) else going

    return removed


@pytest.mark.parametrize(
    ("keeper", "going"),
    [
        ("smallest-id", "bcf"),
        ("largest:width", "acf"),
        ("largest:width,largest:weight", "abf"),
        ("smallest:width,smallest-id", "bcf"),
    ],
)
def test_one_image_of_each_group_stays_by_preferences_in_order(removed, keeper, going):
    groups = {
        "why": ["hash"] * 8,
        "cluster_id": ["1", "1", "1", "", "2", "2", None, "-1"],
        "unique_id": IDS,
    }
    found = removed(groups, group_column="cluster_id", id_column="unique_id", keeper=keeper)
    assert found == going
    listed = removed.report.inputs["duplicate_ids"][0]
    assert (listed["kind"], listed["id_column"]) == ("groups", "unique_id")
    assert (listed["survivors_checked"], listed["other_columns"]) == (True, ["why"])


def test_images_go_for_their_keepers_and_those_without_another_stay(removed, caplog):
    """A whole table: most images duplicate none, some name themselves."""
    keepers = {"path": IDS, "Duplicate_Of": [None, "a", "b", "", "e", "g", "g", "gone"]}
    with caplog.at_level(logging.WARNING):
        assert removed(keepers) == "bcfh"
    assert "4 rows name no other image" in caplog.text
    assert removed.report.keepers["surviving_here_ids"] == 3
    assert removed.report.keepers["surviving_elsewhere_ids"] == 1
    both_ways = {"from": ["a", "b"], "to": ["b", "a"]}
    with pytest.raises(LostKeeperError):
        removed(both_ways, keeper_column="to")
    assert removed(both_ways, keeper_column="to", on_lost_keeper="keep-one") == "b"


def test_g11_pairs_without_a_direction_are_groups_of_which_one_stays(removed):
    pairs = {"from": ["a", "b", "e", "h", "d"], "to": ["b", "c", "x", None, "d"]}
    ends = {"id_column": "from", "partner_column": "to"}
    assert removed(pairs, **ends) == "bc"
    assert removed.report.counts["list_matched_ids"] == 6  # x is listed, but not in the table
    assert removed(pairs, keeper="largest:width", **ends) == "ac"
    both_ways = {"from": ["a", "b", "e", "b", "c"], "to": ["b", "c", "x", "a", "b"]}
    assert removed(both_ways, **ends) == "bc"
    assert removed.report.inputs["duplicate_ids"][0]["kind"] == "groups"


def test_only_pairs_within_the_limit_count(removed, caplog):
    scores = {"from": list("acegb"), "to": list("bdfhc")}
    ends = {"id_column": "from", "partner_column": "to", "score_column": "s"}
    distances = scores | {"s": pa.array([0, 8, 9, None, 20], pa.int16())}
    with caplog.at_level(logging.WARNING):
        assert removed(distances, max_distance=8, **ends) == "bd"
    assert "1 of 5 rows have no score" in caplog.text
    similarities = scores | {"s": [1.0, 0.9, 0.89, NAN, -1.0]}
    assert removed(similarities, eps=0.1, **ends) == "bd"
    directed = {"id_column": "to", "keeper_column": "from", "score_column": "s"}
    assert removed(similarities, eps=0.1, **directed) == "bd"
    assert removed(distances, max_distance=9, **directed) == "bdf"
    scored = {row["image_id"]: row["reasons"][0] for row in removed.plan.to_pylist()}
    assert {one: reason["score"] for one, reason in scored.items()} == {"b": 1, "d": -7, "f": -8}
    assert scored["b"]["keeper_id"] == "a"


def test_what_a_high_score_means_is_asked_for_if_the_name_says_otherwise(removed):
    """fastdup's distance is a similarity, and a perceptual hash's score may be a distance."""
    ends = {"id_column": "from", "partner_column": "to"}
    pairs = {"from": ["a", "c"], "to": ["b", "d"], "distance": [0.99, 0.5], "score": [2.0, 9.0]}
    for column, limit in (("distance", {"eps": 0.1}), ("score", {"max_distance": 4})):
        with pytest.raises(AmbiguousListError, match="--score-means similarity or --score-means"):
            removed(pairs, score_column=column, **limit, **ends)
    similar = {"score_column": "distance", "score_means": "similarity", "eps": 0.1}
    assert removed(pairs, **similar, **ends) == "b"
    near = {"score_column": "score", "score_means": "distance", "max_distance": 4}
    assert removed(pairs, **near, **ends) == "b"
    with pytest.raises(SettingsError, match=r"set how alike .*--max-distance"):
        removed({"id": ["a"], "max_id": ["b"], "cosine_sim_score": [1.0]})


@pytest.mark.parametrize(
    ("scores", "limit", "message"),
    [
        ([NAN, NAN], {"eps": 0.1}, "'s' has no score .NULL or NaN in all 2 rows"),
        ([98.0, 5.0], {"eps": 0.1}, "the score 98, but a similarity is from -1 to 1"),
        ([-3.0, 0.5], {"eps": 0.1}, "the score -3, but a similarity is from -1 to 1"),
        ([-3, 5], {"max_distance": 8}, "the score -3, but a distance is not negative"),
    ],
)
def test_scores_that_their_meaning_does_not_allow_are_refused(removed, scores, limit, message):
    pairs = {"from": ["a", "c"], "to": ["b", "d"], "s": scores}
    ends = {"id_column": "from", "partner_column": "to", "score_column": "s"}
    with pytest.raises(AmbiguousListError, match=message) as refused:
        removed(pairs, **limit, **ends)
    assert refused.value.exit_code == 3


def test_columns_that_can_not_be_what_the_user_says_are_refused(removed):
    pairs = {"from": ["a", "c"], "to": ["u", "v"], "number": [1, 2]}
    for flag in ("keeper_column", "partner_column"):
        with pytest.raises(AmbiguousListError, match="no value of column 'to' is an image ID"):
            removed(pairs, id_column="from", **{flag: "to"})
        with pytest.raises(ColumnTypeError, match="'number' is bigint"):
            removed(pairs, id_column="from", **{flag: "number"})
        with pytest.raises(MissingColumnError, match=f"'two'.* Use --{flag.replace('_', '-')}"):
            removed(pairs, id_column="from", **{flag: "two"})
    with pytest.raises(SettingsError, match=r"one column can't hold several .*from, to, to"):
        removed(pairs, id_column="from", keeper_column="to", score_column="to", eps=0.1)
    pairs["s"] = ["high", "low"]
    with pytest.raises(ColumnTypeError, match=r"'s' is string.*, and must be a score"):
        removed(pairs, id_column="from", keeper_column="to", score_column="s", eps=0.1)
    with pytest.raises(SettingsError, match="--max-distance is for pairs with distances"):
        removed(pairs, id_column="from", group_column="number", max_distance=1)
    with pytest.raises(SettingsError, match="--eps-sweep is for pairs with keepers"):
        removed(
            {"from": ["a"], "to": ["b"], "sim": [0.9]},
            id_column="from",
            partner_column="to",
            score_column="sim",
            eps_sweep="0.1,0.2",
        )


def test_g11_minus_one_is_no_other_image(spark, removed, images):
    """faiss returns -1 for a missing neighbour: it does not connect images."""
    rows = image_rows(range(8), id_type=pa.int64())
    write_parquet(rows, images / "1.parquet")
    pairs = {"id": [5, 6, 7, 1, 2], "nn": [-1, -1, -1, 2, 3]}
    assert removed(pairs, partner_column="nn") == [2, 3]
    assert removed({"id": [5, 6], "duplicate_of": [-1, 5]}) == [6]


@pytest.mark.parametrize("none", [[NAN, NAN], ["nan", "None"], ["", "-1"]])
def test_g11_images_without_a_group_stay_in_every_spelling(removed, none):
    groups = [1.0, 1.0, *none] if none[0] != none[0] else ["x", "x", none[0], none[0]]
    assert removed({"id": ["a", "b", "c", "d"], "g": groups}, group_column="g") == "b"


def test_limits_that_have_no_effect_on_a_list_are_refused(removed):
    listed = {"id": ["a", "b"], "distance": [3, 9]}
    with pytest.raises(SettingsError, match="is read as remove without scores"):
        removed(listed, max_distance=8)
    with pytest.raises(SettingsError, match="is read as remove without scores"):
        removed(listed, score_column="distance", max_distance=8, list_kind="remove")
