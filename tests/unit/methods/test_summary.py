"""The last lines of a run, for people."""

import pytest

from dedup_lib import DuplicateIds, Settings
from dedup_lib.methods.summary import summary_of
from dedup_lib.report import Report


def told(status="succeeded", counts=None, changes=None, **settings):
    given = Settings(
        images="in/images", duplicate_ids=(DuplicateIds("in/list"),), output="./out", **settings
    )
    report = Report()
    report.describe(given)
    report.counts |= {"input_rows": 1200, "kept_rows": 900, "removed_rows": 300} | (counts or {})
    report.output = {"location": "file:/x/out", "format": "parquet", "version": None}
    report.bytes["output"] = 1_500_000
    report.finish(status)
    report.total_seconds = 12.34
    for name, value in (changes or {}).items():
        setattr(report, name, value)
    return summary_of(report, given).splitlines()


def test_a_run_tells_its_rows_its_output_and_its_time():
    assert told(report="report.json") == [
        "done (12.3 s)",
        "1,200 rows = 900 kept + 300 removed (25.0%)",
        "output: file:/x/out, 1.5 MB written",
        "report: report.json",
    ]


def test_a_dry_run_says_that_it_wrote_nothing():
    assert told("dry_run", {"kept_rows": None}, dry_run=True) == [
        "dry run: no image was written (12.3 s)",
        "1,200 rows = 900 kept + 300 removed (25.0%)",
    ]


@pytest.mark.parametrize(
    ("action", "words"),
    [("annotate", "900 unmarked + 300 marked as duplicates"), ("extract", "900 left out + 300")],
)
def test_other_actions_have_other_words(action, words):
    assert words in told(action=action)[1]


def test_what_deserves_a_look_is_named():
    counts = {"list_unmatched_ids": 7, "null_id_rows": 2}
    changes = {
        "keepers": {"lost_ids": 4, "spared_ids": 3},
        "match_hints": [{"text": "5 IDs differ only in case"}],
        "review": {"location": "review.html", "reason": "no browser"},
        "repeated": True,
    }
    lines = told(counts=counts, changes=changes, removed_output="./gone")
    assert lines[0] == "done, as this run was done before (12.3 s)"
    assert lines[3:] == [
        "look at: 7 listed IDs are not in the table",
        "look at: 2 rows have no ID (NULL), so no list can name them",
        "look at: 4 listed images have no survivor; 3 of them stay",
        "look at: 5 IDs differ only in case",
        "look at: the review is missing or incomplete: no browser",
        "review: review.html",
    ]


def test_records_are_named_by_the_run_that_kept_them():
    assert told(removed_output="./gone")[-1] == "removed output: ./gone"


def test_counts_of_an_earlier_run_that_are_no_numbers_are_left_out():
    assert told(counts={"removed_rows": "many"}, changes={"repeated": True})[1].startswith("output")


def test_unknown_counts_are_left_out():
    counts = dict.fromkeys(("input_rows", "kept_rows", "removed_rows"))
    assert told(counts=counts)[1:] == ["output: file:/x/out, 1.5 MB written"]


def test_a_run_that_found_nothing_new_says_so():
    changes = {"added_rows": 0, "deleted_ids": 0, "copied_ids": 0}
    assert told(changes={"since_last_run": changes})[0] == "done: nothing was new (12.3 s)"
    assert told(changes={"since_last_run": changes | {"added_rows": 1}})[0] == "done (12.3 s)"
