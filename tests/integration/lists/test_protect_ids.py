"""--protect-ids: these images stay, whatever the removal lists say."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds
from dedup_lib.errors import (
    ColumnTypeError,
    EmptyListError,
    LostKeeperError,
    NoMatchesError,
    OverlapError,
    RemovedFractionError,
    RunKeyError,
    TableNotFoundError,
)
from dedup_lib.pipeline import run
from dedup_lib.settings import Settings
from tests.support.tables.made import image_rows, row_digests, write_list, write_parquet

ROWS = ["a", "b", "b", "c", "d", None, "e"]


@pytest.fixture
def images(tmp_path):
    """IDs a, b twice, c; d, NULL, e."""
    write_parquet(image_rows(ROWS[:4]), tmp_path / "images/1.parquet")
    return write_parquet(image_rows(ROWS[4:]), tmp_path / "images/2.parquet").parent


@pytest.fixture
def listed(tmp_path):
    """A removal list: b, c, d, and one that is in no table."""
    return write_list(tmp_path / "list/1.parquet", ["b", "c", "d", "x"]).parent


@pytest.fixture
def planned(spark, tmp_path):
    """Plan only: the report, and the IDs that go with their surviving keepers."""

    def planned(images, lists, *protected, **settings):
        shutil.rmtree(tmp_path / "plan", ignore_errors=True)
        lists = [lists] if isinstance(lists, str | DuplicateIds) else lists
        report = run(
            spark,
            Settings(
                images=str(images),
                duplicate_ids=tuple(
                    it if isinstance(it, DuplicateIds) else DuplicateIds(str(it)) for it in lists
                ),
                protect_ids=tuple(map(str, protected)),
                removed_output=str(tmp_path / "plan"),
                dry_run=True,
                **{"max_removed_fraction": 1.0} | settings,
            ),
        )
        rows = pq.read_table(tmp_path / "plan").to_pylist()
        assert len(rows) == report.counts["removed_rows"]
        return report, {row["image_id"]: row["surviving_keeper_id"] for row in rows}

    return planned


def saved(path, ids):
    """Write IDs as the review page does."""
    texts = [json.dumps(it) for it in ids]
    lines = ["id", *texts] if path.suffix == ".csv" else [f'{{"id": {text}}}' for text in texts]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def protect_list(spark, form, path, ids):
    if form in ("jsonl", "csv"):
        return saved(path.with_suffix(f".{form}"), ids)
    if form == "parquet":
        return write_list(path / "1.parquet", [*ids, None]).parent
    rows = spark.createDataFrame([(it,) for it in ids], "id string")
    if form == "delta":
        rows.write.format("delta").save(str(path))
        return path
    rows.write.format("delta").saveAsTable("protected_images")
    return "protected_images"


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "delta", "table name"])
def test_protected_rows_stay_and_are_counted(planned, spark, images, listed, tmp_path, form):
    location = protect_list(spark, form, tmp_path / "protect", ["b", "a", "y"])
    try:
        report, gone = planned(images, [listed], location)
    finally:
        spark.sql("DROP TABLE IF EXISTS protected_images")
    assert set(gone) == {"c", "d"}
    counts = {
        "input_rows": 7,
        "kept_rows": 5,
        "removed_rows": 2,
        "list_distinct_ids": 4,
        "list_matched_ids": 3,
        "list_unmatched_ids": 1,
    }
    assert report.counts | counts == report.counts
    nulls = int(form == "parquet")
    assert report.protected == {
        "list_rows": 3 + nulls,
        "list_null_ids": nulls,
        "spared_ids": 1,
        "spared_rows": 2,
    }
    described = report.inputs["protect_ids"][0]
    assert described | {"kind": "protect", "id_column": "id", "matched_ids": 2} == described
    assert described["format"] == {"table name": "delta"}.get(form, form)
    assert (described["version"] is None) is (described["fingerprint"] is not None)


WAYS = {
    "arrow": {"engine": "arrow"},
    "broadcast-ids": {"engine": "spark", "strategy": "broadcast-ids"},
    "row-positions": {"engine": "spark", "strategy": "row-positions"},
    "to delta": {"output_format": "delta"},
    "clone": {"method": "clone"},
    "in-place": {"method": "in-place"},
}


@pytest.mark.parametrize("way", WAYS)
def test_by_every_way_the_same_rows_stay(remove, spark, images, listed, tmp_path, way):
    source = images
    if way == "in-place":
        source = tmp_path / "table"
        rows = spark.read.parquet(str(images)).coalesce(1).write.format("delta")
        rows.option("delta.enableDeletionVectors", "true").save(str(source))
    output = None if way == "in-place" else tmp_path / "out"
    marks = saved(tmp_path / "marks.jsonl", ["b"])
    report = remove(source, listed, output, protect_ids=(str(marks),), **WAYS[way])
    is_delta = way in ("to delta", "clone", "in-place")
    reader = spark.read.format("delta" if is_delta else "parquet")
    due = spark.read.parquet(str(images)).where("image_id IS NULL OR image_id NOT IN ('c', 'd')")
    assert row_digests(reader.load(str(output or source))) == row_digests(due)
    assert (report.counts["kept_rows"], report.counts["removed_rows"]) == (5, 2)
    assert report.protected["spared_rows"] == 2


@pytest.mark.parametrize("engine", ["arrow", "spark"])
def test_other_actions_take_them_for_no_duplicates(remove, images, listed, tmp_path, engine):
    marks = saved(tmp_path / "marks.csv", ["b"])
    given = {"protect_ids": (str(marks),), "engine": engine}
    remove(images, listed, tmp_path / "marked", action="annotate", **given)
    marked = pq.read_table(tmp_path / "marked").to_pylist()
    assert {row["image_id"] for row in marked if row["is_duplicate"]} == {"c", "d"}
    remove(images, listed, tmp_path / "apart", action="extract", **given)
    assert sorted(pq.read_table(tmp_path / "apart")["image_id"].to_pylist()) == ["c", "d"]


def test_long_lists_are_joined_by_a_shuffle(planned, images, listed, tmp_path, monkeypatch):
    monkeypatch.setattr("dedup_lib.plan.id_join.BROADCAST_LIMIT_BYTES", 0)
    path = write_list(tmp_path / "protect.parquet", ["b", "b", "y"])
    report, gone = planned(images, [listed], path)
    assert report.choices["plan join"]["chosen"] == "shuffle both"
    assert set(gone) == {"c", "d"}
    assert report.protected["spared_rows"] == 2


def test_a_list_longer_than_the_table_is_looked_up_in_it(
    planned, images, listed, tmp_path, monkeypatch
):
    monkeypatch.setattr("dedup_lib.plan.id_join.BROADCAST_LIMIT_BYTES", 400)
    path = write_list(tmp_path / "protect.parquet", ["b", *(f"y{n}" for n in range(50))])
    assert set(planned(images, [listed], path)[1]) == {"c", "d"}


def pairs(path, *rows):
    names = ("id", "max_id", "cosine_sim_score")
    return write_parquet(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), path)


def test_keepers_are_followed_as_if_the_protected_stayed(planned, images, tmp_path):
    """Two lists that would delete every copy: a protected image is the survivor of all others."""
    one = pairs(tmp_path / "pairs/cluster_0.parquet", ("a", "b", 0.9), ("b", "a", 0.9))
    more = pairs(tmp_path / "pairs/cluster_1.parquet", ("c", "b", 0.9))
    with pytest.raises(LostKeeperError):
        planned(images, [one, more], eps=0.2)
    marks = saved(tmp_path / "marks.jsonl", ["a"])
    report, gone = planned(images, [one, more], marks, eps=0.2)
    assert gone == {"b": "a", "c": "a"}
    assert report.keepers["lost_ids"] == 0
    assert report.counts["list_matched_ids"] == 3
    report, gone = planned(images, [one, more], marks, eps=0.2, on_lost_keeper="keep-one")
    assert gone == {"b": "a", "c": "a"}


def test_a_member_of_a_group_stays_beside_its_best(planned, images, tmp_path):
    rows = pa.table({"id": ["a", "b", "c", "d"], "group": [1, 1, 1, 2]})
    path = write_parquet(rows, tmp_path / "groups.parquet")
    marks = saved(tmp_path / "marks.jsonl", ["c"])
    assert planned(images, [path], marks)[1] == {"b": "a"}


def test_what_a_list_to_keep_leaves_out_is_protected(planned, images, tmp_path):
    keep = DuplicateIds(str(write_list(tmp_path / "keep.parquet", ["a", "b"])), kind="keep")
    marks = saved(tmp_path / "marks.jsonl", ["e"])
    report, gone = planned(images, [keep], marks)
    assert set(gone) == {"c", "d"}
    assert report.protected["spared_ids"] == 1


def test_several_lists_are_united(planned, images, listed, tmp_path):
    one, other = (saved(tmp_path / f"{it}.jsonl", [it, "b"]) for it in "cd")
    report, gone = planned(images, [listed], one, other)
    assert gone == {}
    assert report.protected["spared_rows"] == 4
    assert [it["matched_ids"] for it in report.inputs["protect_ids"]] == [2, 2]


def test_a_sweep_leaves_them_out(planned, images, tmp_path):
    path = pairs(tmp_path / "cluster_0.parquet", ("b", "a", 0.99), ("c", "a", 0.9))
    marks = saved(tmp_path / "marks.jsonl", ["b"])
    report, _ = planned(images, [path], marks, eps_sweep="0.05,0.2")
    assert [swept["removed_rows"] for swept in report.eps_sweep] == [0, 1]


def test_limits_look_at_what_goes_in_the_end(planned, images, listed, tmp_path):
    with pytest.raises(RemovedFractionError):
        planned(images, [listed], max_removed_fraction=0.3)
    marks = saved(tmp_path / "marks.jsonl", ["b"])
    assert planned(images, [listed], marks, max_removed_fraction=0.3)[1].keys() == {"c", "d"}


def test_since_last_run_brings_back_what_is_protected_now(remove, spark, images, listed, tmp_path):
    given = {"since_last_run": True, "output_format": "delta"}
    output = tmp_path / "out"
    remove(images, listed, output, **given)
    marks = saved(tmp_path / "marks.jsonl", ["b"])
    report = remove(images, listed, output, protect_ids=(str(marks),), **given)
    assert report.since_last_run == {"added_rows": 0, "deleted_ids": 0, "copied_ids": 1}
    due = spark.read.parquet(str(images)).where("image_id IS NULL OR image_id NOT IN ('c', 'd')")
    found = spark.read.format("delta").load(str(output))
    assert row_digests(found) == row_digests(due)
    report = remove(images, listed, output, protect_ids=(str(marks),), **given)
    assert set(report.since_last_run.values()) == {0}
    report = remove(images, listed, output, **given)
    assert report.since_last_run["deleted_ids"] == 1
    assert spark.read.format("delta").load(str(output)).count() == 3


def test_a_run_key_stands_for_what_is_protected_too(remove, images, listed, tmp_path):
    one, other = (saved(tmp_path / f"{it}.jsonl", [it]) for it in "bc")
    again = write_list(tmp_path / "again.parquet", ["b"])
    given = {"run_key": "k", "output_format": "delta"}
    remove(images, listed, tmp_path / "out", protect_ids=(str(one),), **given)
    assert remove(images, listed, tmp_path / "out", protect_ids=(str(again),), **given).repeated
    for protected in ((str(other),), ()):
        with pytest.raises(RunKeyError):
            remove(images, listed, tmp_path / "out", protect_ids=protected, **given)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_list_that_protects_nothing_stops_the_run(planned, images, listed, tmp_path, form):
    def made(name, ids):
        path = tmp_path / f"{name}.{form}"
        return saved(path, ids) if form == "jsonl" else write_list(path, ids)

    good = made("good", ["b"])
    with pytest.raises(EmptyListError, match=r"list to protect .* holds no ID") as caught:
        planned(images, [listed], good, made("empty", []))
    assert caught.value.exit_code == 4
    with pytest.raises(EmptyListError):
        planned(images, [listed], made("nulls", [None]))
    with pytest.raises(NoMatchesError, match=r"list to protect .* belongs to another table"):
        planned(images, [listed], good, made("foreign", ["y", "z"]))
    allowed = {"allow_empty_list": True, "allow_no_matches": True}
    others = [tmp_path / f"{name}.{form}" for name in ("empty", "nulls", "foreign")]
    report, gone = planned(images, [listed], *others, **allowed)
    assert gone.keys() == {"b", "c", "d"}
    assert report.protected["spared_rows"] == 0


def test_numbers_are_numbers(planned, tmp_path):
    large = 2**53 + 1
    images = write_parquet(image_rows([1, 2, large], id_type=pa.int64()), tmp_path / "i/1.parquet")
    listed = write_list(tmp_path / "list.parquet", [1, 2, large], id_type=pa.int64())
    assert planned(images, [listed], saved(tmp_path / "a.jsonl", [large]))[1].keys() == {1, 2}
    assert planned(images, [listed], saved(tmp_path / "b.csv", [1]))[1].keys() == {2, large}
    assert planned(images, [listed], saved(tmp_path / "b.csv", ["1"]))[1].keys() == {2, large}
    for path in (saved(tmp_path / "c.jsonl", ["1"]), saved(tmp_path / "d.csv", ["01"])):
        with pytest.raises(ColumnTypeError, match=r"list to protect .* line .* is not bigint"):
            planned(images, [listed], path)
    with pytest.raises(ColumnTypeError, match=r"list to protect .* is string"):
        planned(images, [listed], write_list(tmp_path / "e.parquet", ["1"]))


def test_odd_text_protects_the_image_that_has_it(planned, tmp_path):
    odd = ['"', "a,b", "two\nlines", "007", "", "${env:HOME}", "\u2028", "\U0001f600", "\\", "\0"]
    images = write_parquet(image_rows([*odd, "7"]), tmp_path / "images/1.parquet").parent
    listed = write_list(tmp_path / "list.parquet", [*odd, "7"])
    marks = saved(tmp_path / "marks.jsonl", odd)
    assert planned(images, [listed], marks)[1].keys() == {"7"}


def test_what_is_missing_is_refused(planned, images, listed, tmp_path):
    with pytest.raises(TableNotFoundError, match="list to protect"):
        planned(images, [listed], tmp_path / "none.jsonl")
    with pytest.raises(TableNotFoundError, match="list to protect"):
        planned(images, [listed], tmp_path / "none")


def test_the_output_can_not_be_a_list_to_protect(remove, images, listed, tmp_path):
    protected = write_list(tmp_path / "protect/1.parquet", ["b"]).parent
    with pytest.raises(OverlapError, match="list to protect"):
        remove(images, listed, protected, protect_ids=(str(protected),), output_mode="overwrite")
