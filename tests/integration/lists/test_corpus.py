"""What duplicate finders really wrote: no list wipes a group, and with its flags each is right."""

from __future__ import annotations

import tomllib
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds
from dedup_lib.errors import DedupError
from tests.corpus import pictures
from tests.corpus.__main__ import LISTS
from tests.support.tables.list_runs import ListRuns
from tests.support.tables.list_shapes import group_shapes, pair_shapes
from tests.support.tables.made import write_parquet

ANSWERS = tomllib.loads((LISTS / "lists.toml").read_text())
for own in ANSWERS.values():
    answer_of = ANSWERS[own["like"]] if "like" in own else own
    own.update(stays=answer_of["stays"], ids=answer_of.get("ids", "name"))
# Each similarity of the corpus is above 1 - eps for duplicates alone.
EPS = 0.2
GROUPS = [group for group in pictures.names() if len(group) > 1]
SINGLES = [one for group in pictures.names() for one in group if len(group) == 1]
ALL_NAMES = pictures.all_names()
OTHERS = [one for group in GROUPS for one in sorted(group)[1:]]
# Lists of known producers that need a limit, and one that two versions write with two meanings.
STOPPED = {
    "curator-1.4/pairwise_results",
    "curator-0.9/unique_ids_0.01.parquet",
    "fastdup/similarity.csv",
}


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
    column = answer["ids"]
    if answer["stays"] == "listed":
        return set(pq.read_table(locate(answer.get("like", name)))[0].to_pylist())
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
    """For each list, the error that stops the run, without flags but that for the ID column."""
    pinned = {column: runs.pinned(column) for column in ("name", "path", "position", "uid")}

    def stop(name):
        id_column = ANSWERS[name].get("flags", {}).get("id_column")
        asked = DuplicateIds(locate(name), id_column)
        return runs.stop(pinned[ANSWERS[name]["ids"]], asked)

    return {name: stop(name) for name in ANSWERS}


def by_id_column(names):
    found = defaultdict(list)
    for name in names:
        found[ANSWERS[name]["ids"]].append(name)
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
            column = answer["ids"]
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
            "score_column" in ANSWERS[name]["flags"] or name in STOPPED for name in names
        )
        eps = EPS if has_similarities else None
        removed = runs.removed(column, [asked(name) for name in names], eps=eps)
        assert {name: removed[locate(name)] for name in names} == {
            name: expected(name) for name in names
        }


# Names that programs and users give to columns. Those of other images, with the IDs that they
# stand beside, and with scores.
PAIRS = (
    ("id", "id2", "distance"),
    ("id", "neighbor_id", "similarity"),
    ("id", "match_id", "score"),
    ("id", "duplicate", "hamming"),
    ("id", "duplicate_id", "cosine_sim"),
    ("id1", "id2", "distance"),
    ("src", "dst", "weight"),
)
MEMBERS = (("id", "set", "rank"), ("image_id", "near_dup", "position"))
ONE_COLUMN = ("id", "image_id", "key", "uid", "path", "filename", "file", "name", "url", "sha256")
# What may stand beside IDs that are to go.
BESIDE = {
    "width": range(25),
    "format": ["png", "jpg"] * 12 + ["png"],
    "file_size": [900] * 25,
    "label": ["cat"] * 13 + ["dog"] * 12,
    "split": ["train"] * 25,
    "reason": ["exact"] * 20 + ["near"] * 5,
    "aesthetic_score": [n / 50 for n in range(25)],
    "similarity": [0.97] * 25,
    "clip_similarity": [0.2, 0.3] * 12 + [0.2],
    "distance": [0, 1, 2, 3, 4] * 5,
    "loss": [n + 0.5 for n in range(25)],
    "run": ["2026-11"] * 25,
    "url": [f"https://example.org/{n}" for n in range(25)],
    "row": range(1000, 1025),
    "caption": [f"a picture of {n} things" for n in range(25)],
    "phash": [f"{n:016x}" for n in range(25)],
    "shard": [0, 1, 2, 3, 4] * 5,
    "year": [2025] * 10 + [2026] * 15,
    "removed_by": [None] * 25,
    "similarity_percent": [97] * 25,
}


def variants():
    """Lists that name all members of groups, under names that are known to no rule."""
    for names in MEMBERS:
        yield from group_shapes(GROUPS, SINGLES, names)
    for names in PAIRS:
        yield from list(pair_shapes(GROUPS, names))[:3]


def test_lists_of_all_members_stop_under_any_name(runs, tmp_path):
    pinned = runs.pinned("name")
    for number, shape in enumerate(variants()):
        path = write_parquet(shape.table, tmp_path / f"{number}.parquet")
        error = runs.stop(pinned, DuplicateIds(str(path), shape.id_column))
        assert error is not None, (shape.name, shape.table.column_names)
        assert error.exit_code == 3


def test_few_lists_of_ids_to_remove_stop(runs, stops, tmp_path):
    """At most one of twenty stops."""
    tables = {name: pa.table({name: OTHERS}) for name in ONE_COLUMN}
    tables |= {f"id {name}": pa.table({"id": OTHERS, name: list(BESIDE[name])}) for name in BESIDE}
    pinned = runs.pinned("name")
    paths = {
        name: str(write_parquet(table, tmp_path / f"{name}.parquet"))
        for name, table in tables.items()
    }
    found = {name: runs.stop(pinned, DuplicateIds(path)) for name, path in paths.items()}
    stopped = [name for name, error in found.items() if error is not None]
    right = [name for name in ANSWERS if ANSWERS[name].get("flags") == {}]
    stopped += [name for name in right if stops[name] is not None and name not in STOPPED]
    assert len(stopped) <= 0.05 * (len(tables) + len(right)), stopped


@pytest.mark.parametrize("column", ["is_dup", "cluster_score", "label"])
def test_whole_tables_stop(runs, tmp_path, column):
    values = {
        "is_dup": [int(name in OTHERS) for name in ALL_NAMES],
        "cluster_score": [n / 100 for n in range(61)],
        "label": ["cat", "dog"] * 30 + ["cat"],
    }
    table = pa.table({"id": ALL_NAMES, column: values[column]})
    path = write_parquet(table, tmp_path / "whole.parquet")
    with pytest.raises(DedupError) as caught:
        runs.removed("name", [DuplicateIds(str(path))], max_removed_fraction=0.9)
    assert caught.value.exit_code in (3, 4)


def test_ids_without_a_group_stay(runs, tmp_path):
    """-1 is the noise of DBSCAN; Curator writes no hash for what it can't read."""
    number = {one: number for number, group in enumerate(GROUPS) for one in group}
    noise = pa.table({"id": ALL_NAMES, "group": [number.get(name, -1) for name in ALL_NAMES]})
    hashes = [str(number[name]) if name in number else "" for name in ALL_NAMES]
    hashed = pa.table({"id": ALL_NAMES, "_hashes": hashes})
    for name, table in (("noise", noise), ("hashed", hashed)):
        path = str(write_parquet(table, tmp_path / f"{name}.parquet"))
        assert runs.removed("name", [DuplicateIds(path)]) == {path: set(OTHERS)}
