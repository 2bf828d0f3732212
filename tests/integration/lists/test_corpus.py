"""What duplicate finders really wrote: no list wipes a group, and with its flags each is right."""

from __future__ import annotations

import tomllib
from collections import defaultdict

import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds
from tests.corpus import pictures
from tests.corpus.__main__ import LISTS
from tests.support.tables.list_runs import ListRuns

ANSWERS = tomllib.loads((LISTS / "lists.toml").read_text())
# Each similarity of the corpus is above 1 - eps for duplicates alone.
EPS = 0.2
GROUPS = [group for group in pictures.names() if len(group) > 1]
ALL_NAMES = pictures.all_names()
# Lists of known producers that need a limit, and one that two versions write with two meanings.
STOPPED = {"curator-1.4/pairwise_results", "curator-0.9/unique_ids_0.01.parquet"}


def locate(name):
    return str(LISTS / name)


def asked(name):
    return DuplicateIds(locate(name), **ANSWERS[name].get("flags", {}))


def ids_of(names, column):
    """The IDs of pictures in a column of the image table, as text."""
    spelled = {
        "name": str,
        "path": lambda name: str(pictures.FOLDER / name),
        "position": ALL_NAMES.index,
        "uid": pictures.uid,
    }
    return {spelled[column](name) for name in names}


def expected(name):
    """The IDs that a list removes."""
    answer = ANSWERS[name]
    column = answer.get("ids", "name")
    if answer["stays"] == "listed":
        return set(pq.read_table(locate(name))[0].to_pylist())
    stays = min if answer["stays"] == "smallest" else lambda group: group[0]
    return ids_of({one for group in GROUPS for one in set(group) - {stays(group)}}, column)


@pytest.fixture(scope="module")
def runs(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    pictures.write_image_table(folder / "images.parquet")
    (folder / "plans").mkdir()
    return ListRuns(spark, folder / "images.parquet", folder / "plans")


@pytest.fixture(scope="module")
def stops(runs):
    """Without flags: for each list, whether the run stops."""
    pinned = {column: runs.pinned(column) for column in ("name", "path", "position", "uid")}
    return {
        name: runs.stop(pinned[answer.get("ids", "name")], DuplicateIds(locate(name)))
        for name, answer in ANSWERS.items()
    }


def by_id_column(names):
    found = defaultdict(list)
    for name in names:
        found[ANSWERS[name].get("ids", "name")].append(name)
    return found


def test_every_list_has_an_answer():
    tables = {str(path.relative_to(LISTS)) for path in LISTS.rglob("*.parquet")}
    tables |= {str(path.relative_to(LISTS)) for path in LISTS.rglob("*.npy")}
    unanswered = {path for path in tables if not path.startswith(tuple(ANSWERS))}
    assert unanswered == set()


def test_the_answers_leave_a_picture_of_each_group():
    for name, answer in ANSWERS.items():
        if answer["stays"] != "unknown":
            removed = expected(name)
            column = answer.get("ids", "name")
            assert len(ALL_NAMES) - len(removed) == 36, name
            assert all(ids_of(group, column) - removed for group in GROUPS), name


def test_lists_that_need_no_flag_are_right_and_all_others_stop(runs, stops):
    for error in stops.values():
        assert error is None or error.exit_code in (2, 3), error
    read = {name for name, error in stops.items() if error is None}
    assert read == {name for name in ANSWERS if ANSWERS[name].get("flags") == {}} - STOPPED
    for column, names in by_id_column(read).items():
        removed = runs.removed(column, [DuplicateIds(locate(name)) for name in names])
        assert {name: removed[locate(name)] for name in names} == {
            name: expected(name) for name in names
        }


def test_with_its_flags_each_list_ends_with_the_right_survivors(runs):
    flagged = [name for name in ANSWERS if ANSWERS[name]["stays"] != "unknown"]
    flagged = [name for name in flagged if ANSWERS[name]["flags"] or name in STOPPED]
    for column, names in by_id_column(flagged).items():
        has_similarities = any(
            "score_column" in ANSWERS[name]["flags"] or "pairwise" in name for name in names
        )
        eps = EPS if has_similarities else None
        removed = runs.removed(column, [asked(name) for name in names], eps=eps)
        assert {name: removed[locate(name)] for name in names} == {
            name: expected(name) for name in names
        }
