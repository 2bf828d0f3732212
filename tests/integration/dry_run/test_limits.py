"""Safety limits: a wrong list is stopped before an image is written."""

import pyarrow.parquet as pq
import pytest

from dedup_lib.errors import EmptyListError, NoMatchesError, RemovedFractionError
from dedup_lib.plan.limits import check_removed_fraction
from tests.support.tables.made import row_digests, write_list


@pytest.mark.parametrize("ids", [[], [None, None]])
def test_g11_an_empty_list_stops_the_run(refused, images, tmp_path, ids):
    listed = write_list(tmp_path / "list/1.parquet", ids).parent
    refused(EmptyListError, 4, "hold no ID: .*Use --allow-empty-list", images, listed)
    refused(EmptyListError, 4, "hold no ID: ", images, listed, allow_no_matches=True)


def test_g11_an_empty_list_that_is_allowed_removes_nothing(spark, remove, images, tmp_path):
    lists = [
        write_list(tmp_path / "without_rows/1.parquet", []),
        write_list(tmp_path / "nulls/1.parquet", [None, None]),
    ]
    report = remove(images, lists, tmp_path / "out", allow_empty_list=True)
    assert (report.counts["removed_rows"], report.counts["kept_rows"]) == (0, 4)
    expected = row_digests(spark.read.parquet(str(images)))
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected


def test_g11_a_list_that_matches_nothing_stops_the_run_unless_allowed(
    spark, remove, refused, images, tmp_path
):
    listed = write_list(tmp_path / "list/1.parquet", ["A", " a", "a ", "nope", None]).parent
    message = "none of the 4 list entries is in the image table.*--allow-no-matches"
    refused(NoMatchesError, 4, message, images, listed)
    refused(NoMatchesError, 4, message, images, listed, allow_empty_list=True)
    report = remove(images, listed, tmp_path / "out", allow_no_matches=True)
    assert (report.counts["removed_rows"], report.counts["list_unmatched_ids"]) == (0, 4)
    expected = row_digests(spark.read.parquet(str(images)))
    assert row_digests(spark.read.parquet(str(tmp_path / "out"))) == expected


def test_g11_too_large_a_share_stops_the_run_unless_the_limit_is_raised(
    spark, remove, refused, images, tmp_path
):
    listed = write_list(tmp_path / "list/1.parquet", ["a", "b", "c", "d"]).parent
    message = r"removes 4 of 4 rows \(1\.0000\), more than --max-removed-fraction 0\.9"
    refused(RemovedFractionError, 4, message, images, listed)
    remove(images, listed, tmp_path / "out", max_removed_fraction=1)
    output = spark.read.parquet(str(tmp_path / "out"))
    assert output.count() == 0
    assert output.columns == ["image_id", "image", "width", "caption", "tags"]


def test_g11_a_limit_that_is_passed_leaves_a_report_with_full_counts(
    remove, images, listed, tmp_path
):
    """A dry run also ends in the error, and its plan is kept."""
    (report_file, kept_plan) = (tmp_path / "report.json", tmp_path / "plan")
    with pytest.raises(RemovedFractionError):
        remove(
            images,
            listed,
            None,
            dry_run=True,
            max_removed_fraction=0.2,
            report=str(report_file),
            removed_output=str(kept_plan),
        )
    text = report_file.read_text()
    for part in ('"class": "RemovedFractionError"', '"input_rows": 4', '"removed_rows": 1'):
        assert part in text
    assert pq.read_table(kept_plan, columns=["image_id"]).to_pydict() == {"image_id": ["b"]}


@pytest.mark.parametrize("percent", [0, 1, 7, 10, 29, 57, 58, 70, 99, 100])
def test_g11_a_share_that_equals_the_limit_is_within_it(percent):
    check_removed_fraction(input_rows=100, removed_rows=percent, max_removed_fraction=percent / 100)
    if percent < 100:
        with pytest.raises(RemovedFractionError):
            check_removed_fraction(
                input_rows=100, removed_rows=percent + 1, max_removed_fraction=percent / 100
            )
