"""Before anything is removed: what each eps would take, and why a list may not match."""

import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import NoMatchesError, OverlapError, SettingsError
from dedup_lib.plan import id_join
from tests.support.tables.made import image_rows, names_in, write_list, write_parquet

IDS = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture
def images(tmp_path):
    write_parquet(image_rows(IDS[:4]), tmp_path / "images/1.parquet")
    write_parquet(image_rows([*IDS[4:], None]), tmp_path / "images/2.parquet")
    return tmp_path / "images"


@pytest.fixture
def pairs(tmp_path):
    rows = {
        "id": ["b", "b", "c", "e", "x"],
        "max_id": ["a", "f", "b", "d", "a"],
        "cosine_sim_score": pa.array([0.5, 0.99, 0.9, 0.8, 0.8], pa.float32()),
    }
    return write_parquet(pa.table(rows), tmp_path / "pairs/cluster_0.parquet").parent


# What each eps would take


def test_a_sweep_counts_rows_and_estimates_bytes_for_each_eps(remove, images, pairs, tmp_path):
    """Once over the data; 0.9 and 0.99 as float32 are a little less, and a little more."""
    given = {"dry_run": True, "eps_sweep": "0.3,0.011,0.11", "removed_output": str(tmp_path / "r")}
    report = remove(images, pairs, None, **given)
    rows = [(item["eps"], item["removed_rows"]) for item in report.eps_sweep]
    assert rows == [(0.3, 3), (0.011, 1), (0.11, 2)]
    (first, second) = (path.stat().st_size for path in sorted(images.glob("*.parquet")))
    by_row = [first / 4, second / 3]
    sizes = [item["removed_bytes_estimate"] for item in report.eps_sweep]
    assert sizes == [round(2 * by_row[0] + by_row[1]), round(by_row[0]), round(2 * by_row[0])]
    assert report.counts["removed_rows"] == 3
    assert sorted(pq.read_table(tmp_path / "r")["image_id"].to_pylist()) == ["b", "c", "e"]
    for eps, removed_rows in rows:
        report = remove(images, pairs, None, dry_run=True, eps=eps)
        assert report.counts["removed_rows"] == removed_rows
        assert report.eps_sweep is None


def test_what_other_lists_remove_counts_at_every_eps(remove, images, pairs, tmp_path):
    plain = write_list(tmp_path / "plain/1.parquet", ["b"])
    swept = remove(images, [pairs, plain], None, dry_run=True, eps_sweep="0,0.3").eps_sweep
    assert [item["removed_rows"] for item in swept] == [1, 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eps_sweep": "0.1", "dry_run": False}, "add --dry-run"),
        ({"eps_sweep": "0.1", "eps": 0.1}, "leave one of the two out"),
        ({"eps_sweep": "0.1;0.2"}, "numbers with commas"),
        ({"eps_sweep": ""}, "numbers with commas"),
        ({"eps_sweep": "0.1,-1"}, "from 0 to 2"),
        ({"eps_sweep": "nan"}, "from 0 to 2"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(remove, images, pairs, tmp_path, settings, message):
    with pytest.raises(SettingsError, match=message):
        remove(images, pairs, tmp_path / "out", **{"dry_run": True, **settings})


def test_a_sweep_needs_pairs(remove, images, tmp_path):
    plain = write_list(tmp_path / "plain/1.parquet", ["f"])
    with pytest.raises(SettingsError, match="--eps is for pairs with similarities"):
        remove(images, plain, None, dry_run=True, eps_sweep="0.1")


# IDs that matched nothing


@pytest.mark.parametrize("limit_bytes", [None, 400, 0], ids=["list", "image IDs", "shuffle"])
def test_the_ids_that_matched_nothing_are_kept(
    remove, images, pairs, tmp_path, monkeypatch, limit_bytes
):
    """One row per list and ID, by each way to join; NULL is no ID."""
    if limit_bytes is not None:
        monkeypatch.setattr(id_join, "BROADCAST_LIMIT_BYTES", limit_bytes)
    ids = ["x", "b", "y", "y", None, *(f"z{n}" for n in range(20))]
    plain = write_list(tmp_path / "plain/1.parquet", ids)
    out, kept = tmp_path / "out", tmp_path / "unmatched"
    report = remove(images, [pairs, plain], out, eps=0.3, unmatched_output=str(kept))
    expected = {"broadcast list": None, "broadcast image IDs": 400, "shuffle both": 0}
    assert expected[report.choices["plan join"]["chosen"]] == limit_bytes
    rows = pq.read_table(kept).to_pylist()
    found = {(r["image_id"], r["list_kind"], r["list_location"][-5:]) for r in rows}
    assert len(rows) == len(found) == report.counts["list_unmatched_ids"] + 1  # x is in both
    unmatched = {"x", "y", *(f"z{n}" for n in range(20))}
    plain_rows = {(one, "remove", "quet") for one in unmatched}
    assert {(one, kind) for one, kind, _ in found} == {
        *((one, kind) for one, kind, _ in plain_rows),
        ("x", "pairwise"),
    }
    assert {location for _, kind, location in found if kind == "pairwise"} == {"pairs"}


@pytest.mark.classic("a Parquet directory is not replaced")
def test_unmatched_ids_obey_the_output_mode_and_overlap_nothing(remove, images, pairs, tmp_path):
    kept = tmp_path / "unmatched"
    given = {"eps": 0.3, "dry_run": True, "unmatched_output": str(kept)}
    remove(images, pairs, None, **given)
    with pytest.raises(Exception, match="exists") as refused:
        remove(images, pairs, None, **given)
    assert refused.value.exit_code == 5
    remove(images, pairs, None, **given, output_mode="overwrite")
    with pytest.raises(OverlapError, match="unmatched output"):
        remove(images, pairs, None, **given | {"unmatched_output": f"{images}/unmatched"})
    with pytest.raises(OverlapError, match="unmatched output"):
        remove(images, pairs, None, **given, removed_output=str(kept), output_mode="overwrite")


def test_where_all_match_the_table_of_unmatched_ids_is_empty(remove, images, tmp_path):
    plain = write_list(tmp_path / "plain/1.parquet", ["a", "b"])
    remove(images, plain, tmp_path / "out", unmatched_output=str(tmp_path / "unmatched"))
    table = pq.read_table(tmp_path / "unmatched")
    assert (table.num_rows, table.column_names) == (0, ["image_id", "list_location", "list_kind"])


# Why few match


@pytest.fixture
def logged(caplog):
    with caplog.at_level(logging.WARNING, logger="dedup_lib"):
        yield caplog


def test_g11_a_list_that_matches_nothing_is_told_why(remove, images, tmp_path):
    """With counts, in the error and in the report."""
    files = write_list(tmp_path / "files/1.parquet", ["a.jpg", "b.jpg", "b.jpg", "nope", None])
    with pytest.raises(NoMatchesError, match=r"2 of 3 would match without the suffix '\.jpg'"):
        remove(images, files, tmp_path / "out")
    assert names_in(tmp_path) == ["files", "images"]
    other = write_list(tmp_path / "other/1.parquet", ["of another table"])
    with pytest.raises(NoMatchesError, match="may belong to another table"):
        remove(images, other, tmp_path / "out")
    report = remove(images, files, tmp_path / "out", allow_no_matches=True)
    assert [(hint["ids"], hint["of_ids"]) for hint in report.match_hints] == [(2, 3)]


def test_a_list_of_which_hardly_any_id_matches_is_warned_of(remove, tmp_path, logged):
    """But not where the list, or the table, is matched well: then the other is just larger."""
    ids = [f"image-{number}" for number in range(30)]
    images = write_parquet(image_rows(ids), tmp_path / "images/1.parquet").parent
    upper = [one.upper() for one in ids[1:]]
    few = write_list(tmp_path / "few/1.parquet", [ids[0], *upper])
    report = remove(images, few, tmp_path / "out")
    assert report.counts["list_matched_ids"] == 1
    assert [(hint["reason"], hint["ids"]) for hint in report.match_hints] == [("case", 29)]
    assert "29 of 29 would match" in logged.text
    long = write_list(tmp_path / "long/1.parquet", [*ids[:3], *(f"x{n}" for n in range(300))])
    assert remove(images, long, tmp_path / "out2").match_hints is None
