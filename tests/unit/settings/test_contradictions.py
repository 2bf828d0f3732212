"""Settings that contradict each other: what is refused, with which words."""

import pytest

from dedup_lib.errors import SettingsError
from dedup_lib.settings import DuplicateIds
from tests.support.made_settings import LISTS, settings


@pytest.mark.parametrize(
    ("contradicting", "words"),
    [
        ({"method": "in-place"}, "takes no --output"),
        ({"method": "in-place", "output": None, "output_format": "delta"}, "takes no --output"),
        ({"method": "clone", "output_mode": "overwrite"}, "can't replace a table"),
        ({"method": "clone", "output_format": "parquet"}, "makes a Delta or Iceberg table"),
        ({"method": "clone", "output": None}, "--output is required"),
        (
            {"method": "clone", "strategy": "row-positions"},
            "--strategy, --engine and --target-file-size are for",
        ),
        ({"engine": "arrow", "strategy": "row-positions"}, "--strategy is for --engine spark"),
        (
            {"engine": "arrow", "target_file_size": "1GB"},
            "--target-file-size is for --engine spark",
        ),
        ({"method": "clone", "target_file_size": "1GB"}, "clone moves no image"),
        ({"shard_size": "1GB"}, "--shard-size is for --output-format webdataset"),
        ({"samples_per_shard": 5}, "--samples-per-shard is for --output-format webdataset"),
        (
            {"engine": "arrow", "output": "db.t"},
            "--engine arrow writes Parquet and WebDataset, not Delta",
        ),
        ({"engine": "spark", "storage_option": ("a=b",)}, "--storage-option is for --engine arrow"),
        ({"method": "in-place", "output": None, "engine": "spark"}, "in-place moves no image"),
        ({"method": "clone", "enable_deletion_vectors": True}, "is for --method in-place"),
        ({"enable_deletion_vectors": True}, "is for --method in-place"),
        ({"purge": True}, "--purge is for --method clone and in-place"),
        ({"require_gpu": True, "method": "clone"}, "--require-gpu is for --method rewrite"),
        (
            {"require_gpu": True, "method": "in-place", "output": None},
            "--require-gpu is for --method rewrite: in-place moves no image",
        ),
        ({"require_gpu": True, "engine": "arrow"}, "arrow runs on the CPU"),
        ({"require_gpu": True, "strategy": "row-positions"}, "takes the whole scan to the CPU"),
        (
            {"require_gpu": True, "since_last_run": True, "output": "db.t"},
            "--require-gpu can't be combined with --since-last-run",
        ),
    ],
)
def test_what_contradicts_the_method_is_refused(contradicting, words):
    with pytest.raises(SettingsError, match=words) as caught:
        settings(**contradicting)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("--duplicate-ids", {"duplicate_ids": LISTS}),
        ("--protect-ids", {"protect_ids": ("a/marks.jsonl",)}),
        ("--protect-where", {"protect_where": "split = 'test'"}),
        ("--duplicate-id-column", {"duplicate_id_column": "id"}),
        ("--list-kind", {"list_kind": "remove"}),
        ("--group-column", {"group_column": "g"}),
        ("--keeper-column", {"keeper_column": "k"}),
        ("--partner-column", {"partner_column": "p"}),
        ("--score-column", {"score_column": "s"}),
        ("--score-means", {"score_means": "distance"}),
        ("--max-distance", {"max_distance": 0}),
        ("--eps", {"eps": 0.1}),
        ("--eps-sweep", {"eps_sweep": "0.1", "dry_run": True}),
        ("--keeper", {"keeper": "largest:width"}),
        ("--on-lost-keeper", {"on_lost_keeper": "ignore"}),
        ("--unmatched-output", {"unmatched_output": "a/unmatched"}),
        ("--since-last-run", {"since_last_run": True, "output_format": "delta"}),
    ],
)
def test_a_plan_is_applied_as_it_was_made(flag, values):
    given = {"duplicate_ids": (), "apply_plan": "a/plan"}
    assert settings(**given).apply_plan == "a/plan"
    with pytest.raises(SettingsError, match=rf"--apply-plan .* can't be combined with {flag}: "):
        settings(**{**given, **values})


@pytest.mark.parametrize(
    ("contradicting", "words"),
    [
        ({"method": "clone"}, "is for --method rewrite and --action remove"),
        ({"action": "annotate"}, "is for --method rewrite and --action remove"),
        ({"output": None, "dry_run": True}, "needs --output, whose commits say"),
        ({"output_format": "parquet"}, "use --output-format delta"),
        (
            {"eps_sweep": "0.1", "dry_run": True},
            "--eps-sweep helps to choose a value: leave --since-last",
        ),
        (
            {"removed_output": "a/removed"},
            "only full runs write --removed-output and --unmatched-output",
        ),
        (
            {"unmatched_output": "a/unmatched"},
            "only full runs write --removed-output and --unmatched-output",
        ),
        ({"review": "a/review.html"}, "--review shows the plan of a full run"),
    ],
)
def test_a_run_that_does_only_what_is_new_has_such_an_output_and_keeps_nothing_else(
    contradicting, words
):
    given = {"since_last_run": True, "output_format": "delta"}
    assert settings(**given).since_last_run
    with pytest.raises(SettingsError, match=words) as caught:
        settings(**{**given, **contradicting})
    assert caught.value.exit_code == 2


def test_a_table_name_as_parquet_is_refused():
    with pytest.raises(SettingsError, match="is a table name, which can't be") as caught:
        settings(output="db.out", output_format="parquet")
    assert caught.value.exit_code == 2
    assert "give a path with a slash" in str(caught.value)


def test_a_sweep_is_for_dry_runs_and_takes_the_place_of_eps():
    with pytest.raises(SettingsError, match="--eps-sweep replaces --eps"):
        settings(eps_sweep="0.1", eps=0.1, dry_run=True)
    with pytest.raises(SettingsError, match="--eps-sweep helps to choose a value: add --dry-run"):
        settings(eps_sweep="0.1")


@pytest.mark.parametrize("action", ["annotate", "extract"])
@pytest.mark.parametrize("method", ["clone", "in-place"])
def test_only_a_rewrite_annotates_or_extracts(action, method):
    assert settings(action=action).action == action
    output = None if method == "in-place" else "a/out"
    with pytest.raises(SettingsError, match=f"--action {action} is for .*: {method} only removes"):
        settings(action=action, method=method, output=output)


def test_row_positions_extract_but_can_not_annotate():
    assert settings(action="extract", strategy="row-positions")
    with pytest.raises(SettingsError, match="--strategy row-positions can't write kept_image_id"):
        settings(action="annotate", strategy="row-positions")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"group_column": "g", "partner_column": "p"},
            "--group-column and --partner-column contradict each other",
        ),
        ({"keeper_column": "k", "list_kind": "groups"}, "is for --list-kind pairwise, not groups"),
        ({"partner_column": "p", "list_kind": "remove"}, "is for --list-kind groups, not remove"),
        ({"score_means": "similarity", "max_distance": 1}, "--score-means similarity needs --eps"),
        ({"score_means": "distance", "eps": 1}, "--score-means distance needs --max-distance"),
        ({"score_column": "s"}, "--score-column needs a limit: --eps for similarities"),
        ({"max_distance": -1}, "--max-distance must be from 0 to inf"),
        ({"max_distance": float("nan")}, "--max-distance must be from 0 to inf"),
    ],
)
def test_columns_and_scores_of_lists_that_contradict_each_other_are_refused(columns, words):
    with pytest.raises(SettingsError, match=words):
        settings(**columns)
    own = {name: columns.pop(name) for name in list(columns) if name not in ("list_kind", "eps")}
    lists = (DuplicateIds("a/list", kind=columns.pop("list_kind", None), **own),)
    with pytest.raises(SettingsError, match=words):
        settings(duplicate_ids=lists, **columns)


def test_a_list_takes_the_settings_of_all_lists_that_it_has_no_own_value_for():
    lists = (
        DuplicateIds("a/1", id_column="x", keeper_column="k"),
        DuplicateIds("a/2", kind="remove"),
        DuplicateIds("a/3", max_distance=0, score_means="distance"),
    )
    shared = {"duplicate_id_column": "y", "group_column": "g", "max_distance": 3}
    first, second, third = settings(duplicate_ids=lists, **shared).asked_lists
    assert (first.id_column, first.keeper_column, first.group_column) == ("x", "k", None)
    assert (second.id_column, second.kind, second.relations) == ("y", "remove", ())
    assert (third.group_column, third.max_distance, third.kind) == ("g", 0, "auto")
    assert first.max_distance == second.max_distance == 3
    lists = (DuplicateIds("a/1", max_distance=1), DuplicateIds("a/2", kind="groups"))
    shared = {"score_means": "similarity", "eps": 0.1, "group_column": "g"}
    first, second = settings(duplicate_ids=lists, **shared).asked_lists
    assert (first.score_means, second.score_means) == (None, "similarity")
    assert (first.group_column, second.group_column) == ("g", "g")


def test_empty_names_and_a_limit_that_contradicts_the_meaning_are_refused():
    with pytest.raises(SettingsError, match="an empty name as its group_column"):
        settings(group_column="")
    lists = (DuplicateIds("a/1", score_means="similarity", max_distance=1),)
    with pytest.raises(SettingsError, match="score_means similarity and max_distance"):
        settings(duplicate_ids=lists, eps=0.1)
