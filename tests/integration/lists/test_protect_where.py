"""--protect-where: the images of a reference set stay, whatever the lists say, and stay first."""

import contextlib
import datetime as dt
import io
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql.types import StringType, StructField, StructType

from dedup_lib import DuplicateIds
from dedup_lib.errors import (
    ColumnTypeError,
    MissingColumnError,
    NoMatchesError,
    RunKeyError,
    SettingsError,
)
from dedup_lib.pipeline import run
from dedup_lib.plan.planning import PLAN_SETTINGS
from dedup_lib.plan.protected_rows import check_condition, protected_ids
from dedup_lib.session.conf import session_settings
from dedup_lib.session.open_storage import open_storage
from dedup_lib.session.session import Session
from dedup_lib.settings import Settings
from dedup_lib.settings.condition import parse_condition
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.read import read_images
from tests.support.tables.lying_files import ALL_NULL, let_log_lie, write_lying
from tests.support.tables.made import (
    delta_table,
    image_rows,
    row_digests,
    write_list,
    write_parquet,
)

TEST = "split = 'test'"
TESTED, OTHERS = "bdejn", "acfghiklmopqr"


def with_splits(ids, splits):
    rows = image_rows(ids)
    return rows.append_column("split", pa.array(splits, pa.string()))


@pytest.fixture
def images(tmp_path):
    """IDs a to r, h twice, NULL: one row of h is of the split `test`; the split of i is NULL."""
    ids = sorted(TESTED + OTHERS)
    splits = [None if one == "i" else "test" if one in TESTED else "train" for one in ids]
    write_parquet(with_splits(ids, splits), tmp_path / "images/1.parquet")
    others = with_splits(["h", None], ["test", "test"])
    return write_parquet(others, tmp_path / "images/2.parquet").parent


@pytest.fixture
def planned(spark, tmp_path):
    """Plan only: the report, and the IDs that go with their surviving keepers."""

    def planned(images, *lists, protect_where=TEST, **settings):
        shutil.rmtree(tmp_path / "plan", ignore_errors=True)
        settings = Settings(
            images=str(images),
            duplicate_ids=lists,
            protect_where=protect_where,
            removed_output=str(tmp_path / "plan"),
            dry_run=True,
            **{"max_removed_fraction": 1.0} | settings,
        )
        report = run(spark, settings)
        rows = pq.read_table(tmp_path / "plan").to_pylist()
        return report, {row["image_id"]: row["surviving_keeper_id"] for row in rows}

    return planned


def write_rows(path, **columns):
    return str(write_parquet(pa.table(columns), path))


def test_they_are_the_keepers_in_lists_of_every_kind(planned, images, tmp_path):
    """The width decides only between g, whose split is another, and i, whose split is NULL.

    Of p and q, which would both be lost, the best stays.
    """
    groups = write_rows(
        tmp_path / "groups.parquet",
        id=["a", "b", "c", "d", "e", "f", "h", "r", "g", "i"],
        group=["one", "one", "one", "two", "two", "two", "three", "three", "four", "four"],
    )
    partners = write_rows(tmp_path / "partners.parquet", id=["k", "j"], other=["l", "k"])
    circles = write_rows(
        tmp_path / "pairs/cluster_0.parquet",
        id=["m", "n", "o", "p", "q"],
        max_id=["n", "o", "m", "q", "p"],
        cosine_sim_score=[0.9] * 5,
    )
    marks = tmp_path / "marks.jsonl"
    marks.write_text('{"id": "f"}\n')
    report, gone = planned(
        images,
        DuplicateIds(groups),
        DuplicateIds(partners, partner_column="other"),
        DuplicateIds(circles),
        keeper="largest:width",
        protect_ids=(str(marks),),
        eps=0.2,
        on_lost_keeper="keep-one",
    )
    of_groups = {"a": "b", "c": "b", "r": "h", "g": "i"}
    assert gone == of_groups | {"k": "j", "l": "j"} | {"m": "n", "o": "n", "p": "q"}
    assert report.inputs["protect_where"] == {"condition": TEST, "matched_ids": 6}
    assert report.inputs["protect_ids"][0]["matched_ids"] == 1
    assert report.protected == {
        "list_rows": 1,
        "list_null_ids": 0,
        "spared_ids": 3,  # d and n; f, by the other list; e is the best of its group
        "spared_rows": 3,
    }
    assert report.keepers["lost_ids"] == 2


def test_all_rows_of_their_ids_are_written(remove, images, tmp_path):
    """Also those whose own row is of another split, and by a plan that was looked at before."""
    listed = write_list(tmp_path / "list.parquet", ["a", "b", "h", "i"])
    given = {"protect_where": TEST, "removed_output": f"{tmp_path}/plan"}
    report = remove(images, listed, tmp_path / "out", **given)
    kept = pq.read_table(tmp_path / "out")["image_id"].to_pylist()
    assert sorted(map(str, kept)) == ["None", *"bcdefghhjklmnopqr"]
    assert (report.protected["spared_ids"], report.protected["spared_rows"]) == (2, 3)
    applied = remove(images, [], None, apply_plan=f"{tmp_path}/plan", dry_run=True)
    assert applied.inputs["plan"]["protect_where"] == {"condition": TEST, "matched_ids": 6}
    assert applied.protected == report.protected


def test_marks_name_them_as_the_images_that_are_kept(remove, images, tmp_path):
    groups = write_rows(tmp_path / "groups.parquet", id=["a", "b", "c"], group=[1, 1, 1])
    given = {"action": "annotate", "engine": "spark"}
    remove(images, groups, tmp_path / "out", protect_where=TEST, **given)
    rows = pq.read_table(tmp_path / "out").to_pylist()
    marked = {row["image_id"]: row["kept_image_id"] for row in rows if row["is_duplicate"]}
    assert marked == {"a": "b", "c": "b"}


def test_a_run_key_stands_for_the_condition_too(remove, spark, images, tmp_path):
    frame = spark.read.parquet(str(images))
    table = delta_table(frame, tmp_path / "table", enableDeletionVectors="true")
    listed = write_list(tmp_path / "list.parquet", ["a", "b", "h"])
    given = {"method": "in-place", "run_key": "k"}
    report = remove(table, listed, None, protect_where=TEST, **given)
    assert (report.counts["removed_rows"], report.protected["spared_rows"]) == (1, 3)
    with pytest.raises(RunKeyError):
        remove(table, listed, None, protect_where="split = 'train'", **given)


def test_since_last_run_follows_rows_that_change_sides(remove, spark, images, tmp_path):
    """An image that is of the split now comes back; one that is of another split now goes."""
    frame = spark.read.parquet(str(images)).where("image_id IS NOT NULL")
    table = delta_table(frame, tmp_path / "table", enableChangeDataFeed="true")
    listed = write_list(tmp_path / "list.parquet", ["a", "b", "d"])
    given = {"since_last_run": True, "output_format": "delta", "protect_where": TEST}
    output = tmp_path / "out"

    def published():
        return row_digests(spark.read.format("delta").load(str(output)))

    def due(*gone):
        rows = spark.read.format("delta").load(str(table))
        return row_digests(rows.where(~rows["image_id"].isin(*gone)))

    remove(table, listed, output, **given)
    assert published() == due("a")
    spark.sql(f"UPDATE delta.`{table}` SET split = 'test' WHERE image_id = 'a'")
    spark.sql(f"UPDATE delta.`{table}` SET split = 'train' WHERE image_id = 'b'")
    report = remove(table, listed, output, **given)
    assert report.since_last_run == {"added_rows": 0, "deleted_ids": 1, "copied_ids": 1}
    assert published() == due("b")


def test_g11_a_condition_that_is_true_for_no_image_stops_the_run(planned, images, tmp_path):
    given = {"protect_where": "split = 'Test' OR split = NULL"}
    item = DuplicateIds(str(write_list(tmp_path / "list.parquet", ["b", "i"])))
    with pytest.raises(NoMatchesError, match="--protect-where is true for no image") as caught:
        planned(images, item, **given)
    assert caught.value.exit_code == 4
    report, gone = planned(images, item, allow_no_matches=True, **given)
    assert set(gone) == {"b", "i"}
    assert report.inputs["protect_where"]["matched_ids"] == 0


TABLE = pa.table(
    {
        "image_id": ["a", "b", "b", "c"],
        "image": [{"bytes": b"x", "path": "p/1"}, None, {"bytes": b"x", "path": "q_1"}, None],
        "split": ["test", None, "${env:HOME}", "it's"],
        "n": pa.array([1, None, -5, 3], pa.int32()),
        "share": [0.5, 1.5, float("nan"), None],
        "ok": [True, None, False, False],
        "day": [dt.date(2026, 1, 31), None, dt.date(2025, 1, 1), None],
        "at": pa.array([dt.datetime(2026, 1, 31), None, None, None], pa.timestamp("us", "UTC")),
        "local": pa.array([dt.datetime(2026, 1, 31), None, None, None], pa.timestamp("us")),
        "a.b": [1, 2, 3, 4],
        "current_user": ["me", "you", "you", "you"],
        "thumbnail": [b"x"] * 4,
        "tags": [["x"]] * 4,
    }
)


def image_table(spark, path):
    pinned = read_images(Session(spark, open_storage(spark)), str(path), "auto")
    return ImageTable.of(pinned, "image_id")


def ids_where(table, text):
    condition = parse_condition(text)
    check_condition(table, condition)
    return {row["image_id"] for row in protected_ids(table, condition).collect()}


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory):
    path = write_parquet(TABLE, tmp_path_factory.mktemp("where") / "images/1.parquet")
    return image_table(spark, path.parent)


def test_conditions_mean_what_they_mean_in_sql(table):
    """A row counts if the condition is true, not if it is NULL; an ID counts by any of its rows."""
    for text, expected in {
        "split = 'test'": "a",
        "split <> 'test'": "bc",
        "NOT split IN ('test', 'it''s')": "b",
        "split IS NULL": "b",
        "split = '${env:HOME}' AND n = -5": "b",
        "split LIKE 't_s%' OR n BETWEEN 2 AND 3": "ac",
        "n = 1 OR n = 3 AND split = 'x'": "a",
        "NOT n = 1 AND n > 0": "c",
        "image.path LIKE 'q\\_%'": "b",
        "image.path IS NOT NULL AND NOT ok": "b",
        "ok": "a",
        "share < 1": "a",
        "day >= DATE '2026-01-01'": "a",
        "at = TIMESTAMP '2026-01-31T01:00:00+01:00' AND local = TIMESTAMP '2026-01-31'": "a",
        "`a.b` IN (1, 4)": "ac",
        "current_user = 'me'": "a",
        "n <> NULL": "",
        "split = '' OR " * 700 + "ok": "a",
        "(" * 20 + "ok" + ")" * 20: "a",
    }.items():
        assert ids_where(table, text) == set(expected), text[:60]


def test_what_does_not_fit_the_table_is_refused(table):
    for text, error, words in [
        ("spilt = 'test'", MissingColumnError, "no column 'spilt' .* Did you mean 'split'"),
        ("Split = 'test'", MissingColumnError, "no column 'Split' .* Did you mean 'split'"),
        ("split = test", MissingColumnError, "no column 'test' .* put single quotes around texts"),
        ("image.pat = 'x'", MissingColumnError, "'image.pat' .* Did you mean 'image.path'"),
        ("split.x = 1", MissingColumnError, "no column 'split.x' .*'image_id'"),
        ("current_date = day", MissingColumnError, "no column 'current_date'"),
        ("thumbnail IS NULL", ColumnTypeError, "column 'thumbnail', which is binary"),
        ("image.bytes = 'x'", ColumnTypeError, "column 'image.bytes', which is binary"),
        ("image IS NULL", ColumnTypeError, "column 'image', which is struct"),
        ("tags = 'x'", ColumnTypeError, "column 'tags', which is array"),
        ("n = '1'", ColumnTypeError, r"mixes a number and a text \('n'\), and nothing is cast"),
        ("split IN ('a', 1)", ColumnTypeError, "mixes a number and a text"),
        ("day = '2026-01-31'", ColumnTypeError, "mixes a date and a text"),
        ("day = TIMESTAMP '2026-01-31'", ColumnTypeError, "mixes a date and a timestamp"),
        ("n LIKE '1'", ColumnTypeError, "mixes a number and a text"),
        ("n", ColumnTypeError, "mixes a boolean and a number"),
        ("n = 1" + "0" * 38, SettingsError, "Spark does not understand it: .*precision"),
    ]:
        with pytest.raises(error, match=words) as caught:
            check_condition(table, parse_condition(text))
        assert caught.value.exit_code == (2 if error is SettingsError else 3)


def test_g4_no_statistic_hides_a_row_that_stays(spark, tmp_path):
    """A file and Delta's log that lie, where a session takes no settings."""
    rows = with_splits(["a", "b", "c"], ["train", "test", "test"])
    lying = write_lying(rows, tmp_path / "images/1.parquet", ["split"], ALL_NULL)
    honest = write_parquet(rows, tmp_path / "honest.parquet")
    delta = delta_table(spark.read.parquet(str(honest)), tmp_path / "delta")
    let_log_lie(delta, lying, "split")
    assert spark.read.parquet(str(lying)).where(TEST).isEmpty()  # so Spark believes it
    for images in (lying.parent, delta):
        for condition in (TEST, "split IN ('test', 'x')", "split IS NOT NULL"):
            assert {"b", "c"} <= ids_where(image_table(spark, images), condition)


def test_padded_texts_are_refused(spark, table):
    """Values of char(5) end in blanks, so that no literal would equal them."""
    padded = {"__CHAR_VARCHAR_TYPE_STRING": "char(5)"}
    fields = [
        StructField("image_id", StringType()),
        StructField("split", StringType(), True, padded),
    ]
    other = replace(table, frame=spark.createDataFrame([], StructType(fields)))
    with pytest.raises(ColumnTypeError, match=r"column 'split', which is char\(5\)"):
        check_condition(other, parse_condition(TEST))


def test_no_image_is_read_for_a_condition(spark, table):
    condition = parse_condition("image.path LIKE 'p%' OR split = 'test'")
    hostile = {"spark.sql.optimizer.nestedSchemaPruning.enabled": "false"}
    with (
        session_settings(spark, hostile),
        session_settings(spark, PLAN_SETTINGS),
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        protected_ids(table, condition).explain()
    read = printed.getvalue().split("ReadSchema: ")[1].splitlines()[0]
    assert read == "struct<image_id:string,image:struct<path:string>,split:string>"
