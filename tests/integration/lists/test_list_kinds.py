"""Lists of every kind, with the schemas that their producers write."""

import re
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    AmbiguousListError,
    ColumnTypeError,
    EmptyListError,
    LostKeeperError,
    MissingColumnError,
    NoMatchesError,
    NotAListError,
    RemovedFractionError,
    RunKeyError,
    SettingsError,
    UnreadableFileError,
)
from dedup_lib.lists import parquet
from tests.support.tables.made import image_rows, write_list, write_parquet
from tests.support.tables.pandas_files import VERSIONS, write_by_pandas

# Many small queries each.
IDS = [f"id-{letter}" for letter in "abcdefgh"]


def pairs(path, *rows):
    """Write pairwise results: of rows (id, max_id, cosine_sim_score)."""
    schema = pa.schema({"id": pa.string(), "max_id": pa.string(), "cosine_sim_score": pa.float32()})
    names = schema.names
    rows = [
        dict(zip(names, (f"id-{one}", f"id-{other}", score), strict=True))
        for one, other, score in rows
    ]
    return write_parquet(pa.Table.from_pylist(rows, schema), path)


def groups(path, members, *, column="group"):
    """Write every member of groups: of {ID's letter: group}."""
    ids = [f"id-{letter}" for letter in members]
    return write_parquet(pa.table({"id": ids, column: list(members.values())}), path)


@pytest.fixture
def planned(spark, tmp_path):
    """Plan only: the report, and each removed letter with its surviving keeper."""
    write_parquet(image_rows(IDS[:5]), tmp_path / "images/1.parquet")
    write_parquet(image_rows([*IDS[5:], None]), tmp_path / "images/2.parquet")

    def planned(*lists, **settings):
        lists = tuple(
            item if isinstance(item, DuplicateIds) else DuplicateIds(str(item)) for item in lists
        )
        settings = {"max_removed_fraction": 1.0, **settings}
        shutil.rmtree(tmp_path / "plan", ignore_errors=True)
        report = run(
            spark,
            Settings(
                images=str(tmp_path / "images"),
                duplicate_ids=lists,
                removed_output=str(tmp_path / "plan"),
                dry_run=True,
                **settings,
            ),
        )
        rows = pq.read_table(tmp_path / "plan").to_pylist()
        survivors = {row["image_id"][3:]: row["surviving_keeper_id"] for row in rows}
        assert len(survivors) == len(rows) == report.counts["removed_rows"]
        return report, {key: value and value[3:] for key, value in sorted(survivors.items())}

    planned.rows = lambda: {
        row["image_id"][3:]: row["reasons"] for row in pq.read_table(tmp_path / "plan").to_pylist()
    }
    return planned


# Pairs


def test_pairs_go_from_the_asked_similarity_on_as_curator_compares(planned, tmp_path):
    """0.9 as a float32 is a little less than 1 - 0.1, and 0.99 a little more than 1 - 0.01."""
    path = pairs(
        tmp_path / "pairwise_results/cluster_0.parquet",
        ("a", "a", 0.0),
        ("b", "a", 0.9),
        ("c", "a", 0.99),
        ("d", "c", 1.0),
        ("e", "a", float("nan")),
        ("f", "a", None),
        ("x", "a", 1.0),
    )
    report, survivors = planned(path.parent, eps=0.1)
    assert survivors == {"c": "a", "d": "a"}
    assert planned(path.parent, eps=0.0)[1] == {"d": "c"}
    assert report.counts | {"list_rows": 3, "list_matched_ids": 2} == report.counts
    assert report.inputs["duplicate_ids"][0]["kind"] == "pairwise"
    expected = {"with_keeper_ids": 2, "surviving_here_ids": 2, "lost_ids": 0}
    assert report.keepers | expected == report.keepers


def test_reasons_tell_kind_keeper_and_score(planned, tmp_path):
    path = pairs(tmp_path / "p/cluster_0.parquet", ("b", "a", 0.5))
    plain = write_list(tmp_path / "ids.parquet", ["id-b", "id-c"])
    planned(path, plain, eps=0.5)
    reasons = {
        letter: [(reason["list_kind"], reason["keeper_id"], reason["score"]) for reason in found]
        for letter, found in planned.rows().items()
    }
    assert reasons == {
        "b": [("pairwise", "id-a", 0.5), ("remove", None, None)],
        "c": [("remove", None, None)],
    }


def test_pairs_need_eps_and_eps_needs_pairs(planned, tmp_path):
    path = pairs(tmp_path / "p/cluster_0.parquet", ("b", "a", 0.5))
    with pytest.raises(SettingsError, match="--eps"):
        planned(path)
    with pytest.raises(SettingsError, match=r"for pairs with similarities, .* of the kind remove"):
        planned(write_list(tmp_path / "ids.parquet", ["id-b"]), eps=0.5)


# Keepers


def test_keepers_are_followed_through_chains_and_across_lists(planned, tmp_path):
    """d -> c -> b by pairs, b -> a by a group: a survives of all; x is in another table."""
    chain = pairs(
        tmp_path / "p/1.parquet", ("d", "c", 0.9), ("c", "b", 0.9), ("e", "x", 0.9), ("f", "e", 0.9)
    )
    group = groups(tmp_path / "g.parquet", {"a": 1, "b": 1})
    report, survivors = planned(chain, group, eps=0.2)
    assert survivors == {"b": "a", "c": "a", "d": "a", "e": None, "f": None}
    expected = {"with_keeper_ids": 5, "surviving_here_ids": 3, "surviving_elsewhere_ids": 2}
    assert report.keepers | expected | {"lost_ids": 0} == report.keepers


def test_g11_images_that_name_one_another_in_a_circle_are_lost(planned, tmp_path):
    """An error that names some; or one is spared; or all go."""
    circle = zip("abcdefgh", "bcdefgha", strict=True)
    path = pairs(tmp_path / "p/1.parquet", *((one, other, 0.9) for one, other in circle))
    with pytest.raises(LostKeeperError, match=r"8 of 8 images.*'id-a', 'id-b'") as stopped:
        planned(path, eps=0.2)
    assert stopped.value.exit_code == 4
    assert planned(path, eps=0.2, on_lost_keeper="ignore")[1] == dict.fromkeys("abcdefgh")
    widest = {"on_lost_keeper": "keep-one", "keeper": "largest:width"}
    report, survivors = planned(path, eps=0.2, **widest)
    assert survivors == dict.fromkeys("abcdfgh", "e")  # widths begin anew in the second file
    assert report.keepers | {"lost_ids": 8, "spared_ids": 1} == report.keepers


# Groups


@pytest.mark.parametrize("column", ["group", "_hashes"])
def test_of_each_group_one_stays(planned, tmp_path, column):
    """x is in no group of this table; a group with a single member here loses nothing."""
    members = {"c": "1", "b": "1", "x": "1", "d": "2", "y": "2", "h": "3", "g": "3", "f": None}
    path = groups(tmp_path / "all.parquet", members, column=column)
    report, survivors = planned(path)
    assert survivors == {"c": "b", "h": "g"}
    assert report.counts | {"list_rows": 8, "list_matched_ids": 6} == report.counts
    assert planned(path, keeper="largest:width")[1] == {"b": "c", "g": "h"}
    assert planned(path, keeper="smallest:width")[1] == {"c": "b", "h": "g"}
    with pytest.raises(MissingColumnError, match=r"'widht'.*Did you mean 'width'.*--keeper"):
        planned(path, keeper="largest:widht")


@pytest.mark.parametrize("none", [-1, -1.0, "", None, "-1"], ids=repr)
def test_g11_images_without_a_group_stay_and_the_log_counts_them(planned, tmp_path, none, caplog):
    kind = type(none) if none is not None else int
    members = {"a": kind(1), "b": kind(1), "c": none, "d": none, "e": none}
    path = groups(tmp_path / "all.parquet", members)
    assert planned(path)[1] == {"b": "a"}
    assert "3 IDs have no group" in caplog.text


def test_a_group_that_dwarfs_all_others_is_warned_of(planned, tmp_path, caplog):
    members = dict.fromkeys((f"{number}" for number in range(110)), "mist") | {"a": "1", "b": "1"}
    path = groups(tmp_path / "all.parquet", members)
    assert planned(path)[1] == {"b": "a"}
    assert "group 'mist' has 110 IDs, the next largest has 2" in caplog.text
    caplog.clear()
    planned(groups(tmp_path / "other.parquet", {"a": "1", "b": "1"}))
    assert "the next largest" not in caplog.text


@pytest.mark.parametrize("score", [87.5, 1.01])
def test_g11_scores_that_no_similarity_has_are_refused(planned, tmp_path, score):
    path = pairs(tmp_path / "p.parquet", ("b", "a", 0.9), ("c", "a", score))
    with pytest.raises(AmbiguousListError, match=f"the score {score}, but a similarity") as refused:
        planned(path, eps=0.2)
    assert refused.value.exit_code == 3
    assert planned(path, list_kind="remove")[1].keys() == {"b", "c"}


def test_scores_a_little_over_one_are_similarities(planned, tmp_path):
    path = pairs(tmp_path / "p.parquet", ("b", "a", 1.001), ("c", "a", float("nan")))
    assert planned(path, eps=0.2)[1] == {"b": "a"}


def test_g11_several_lists_without_keepers_are_warned_of(planned, tmp_path, caplog):
    lists = [write_list(tmp_path / f"{one}.parquet", [f"id-{one}"]) for one in "ab"]
    planned(*lists)
    assert "2 lists name IDs without the images that they duplicate" in caplog.text
    caplog.clear()
    planned(lists[0])
    assert "without the images" not in caplog.text


# Lists to keep


def test_a_list_to_keep_removes_all_others_but_those_without_id(planned, tmp_path):
    kept = DuplicateIds(
        str(write_list(tmp_path / "kept.parquet", [*IDS[:6], "id-x", None])), kind="keep"
    )
    report, survivors = planned(kept)
    assert survivors == {"g": None, "h": None}
    assert report.counts | {"list_matched_ids": 6, "list_unmatched_ids": 1} == report.counts
    more = DuplicateIds(str(write_list(tmp_path / "more.parquet", ["id-g"])), kind="keep")
    gone = write_list(tmp_path / "gone.parquet", ["id-a", "id-h"])
    report, survivors = planned(kept, more, gone)
    assert list(survivors) == ["a", "h"]
    kinds = {
        letter: [reason["list_kind"] for reason in reasons]
        for letter, reasons in planned.rows().items()
    }
    assert kinds == {"a": ["remove"], "h": ["remove", "keep", "keep"]}


def test_lists_to_keep_obey_the_limits(planned, tmp_path):
    other = write_list(tmp_path / "kept.parquet", ["of another table"])
    with pytest.raises(NoMatchesError):
        planned(other, list_kind="keep")
    few = write_list(tmp_path / "few.parquet", ["id-a"])
    with pytest.raises(RemovedFractionError, match="7 of 9"):
        planned(few, list_kind="keep", max_removed_fraction=0.5)


# What can't be told, or is no list


@pytest.mark.parametrize(
    ("name", "columns", "error", "message"),
    [
        ("unique_ids_0.01.parquet", {"id": ["id-a"]}, AmbiguousListError, "--list-kind keep or"),
        (
            "found.parquet",
            {"id": ["id-a"], "cosine_dist_to_cent": [0.1], "cluster": [1]},
            AmbiguousListError,
            "two meanings",
        ),
        (
            "kmeans_results/centroid=1/1.parquet",
            {"id": ["id-a"], "l2_dist_to_cent": [0.1], "cosine_dist_to_cent": [0.1]},
            NotAListError,
            "k-means",
        ),
        ("e.parquet", {"id": ["id-a"], "embedding": [[0.1, 0.2]]}, NotAListError, "embeddings"),
        ("c.parquet", {"id": ["id-a"], "component": [1]}, AmbiguousListError, "remove every copy"),
        ("component=1/c.parquet", {"id": ["id-a"]}, AmbiguousListError, "remove every copy"),
    ],
)
def test_what_has_two_meanings_or_none_is_refused(planned, tmp_path, name, columns, error, message):
    path = write_parquet(pa.table(columns), tmp_path / "lists" / name)
    with pytest.raises(error, match=message) as refused:
        planned(path)
    assert refused.value.exit_code == 3
    assert list(planned(path, list_kind="remove")[1]) == ["a"]


def test_g11_a_file_beside_plain_ones_that_may_tell_groups_is_named(planned, tmp_path):
    write_list(tmp_path / "list/1.parquet", ["id-c"])
    listed = pa.table({"id": ["id-a", "id-b"], "Cluster_ID": [7, 7]})
    path = write_parquet(listed, tmp_path / "list/2.parquet")
    with pytest.raises(AmbiguousListError, match=rf"file 'file:{path}' has a column 'Cluster_ID'"):
        planned(path.parent)
    assert list(planned(path.parent, list_kind="remove")[1]) == ["a", "b", "c"]


def test_a_list_to_protect_may_name_every_member_of_groups(planned, tmp_path):
    """All of them stay: nothing is lost by that."""
    gone = write_list(tmp_path / "gone.parquet", ["id-a", "id-b", "id-c"])
    members = pa.table({"id": ["id-a", "id-b"], "component": [1, 1]})
    path = write_parquet(members, tmp_path / "members.parquet")
    assert list(planned(gone, protect_ids=(str(path),))[1]) == ["c"]


def test_files_of_two_kinds_are_refused(planned, tmp_path):
    pairs(tmp_path / "list/1.parquet", ("b", "a", 0.9))
    write_list(tmp_path / "list/2.parquet", ["id-c"])
    with pytest.raises(AmbiguousListError, match=r"mixes kinds: .*1.parquet' as pairwise; .*2.par"):
        planned(tmp_path / "list", eps=0.2)


@pytest.mark.parametrize("column", ["_curator_dedup_id", "docs_to_remove"])
def test_generated_ids_are_found_without_naming_their_column(spark, tmp_path, column, caplog):
    """Curator's are of one run, and may be those of other images: that is said of both inputs."""
    images = image_rows([1, 2, 3], id_type=pa.int64())
    path = write_list(tmp_path / "list/part.0.parquet", [2], column=column, id_type=pa.int64())
    settings = Settings(
        images=str(tmp_path / "images"), duplicate_ids=(DuplicateIds(str(path)),), dry_run=True
    )
    for id_column in ("image_id", "key", column):
        names = [id_column, *images.column_names[1:]]
        write_parquet(images.rename_columns(names), tmp_path / "images/1.parquet")
        caplog.clear()
        report = run(spark, replace(settings, image_id_column=id_column))
        assert report.counts["removed_rows"] == 1
        assert report.inputs["duplicate_ids"][0]["id_column"] == column
        counted = {"_curator_dedup_id", "key"} & {id_column, column}
        told = [text for text in caplog.messages if "gives the same IDs to other images" in text]
        assert sorted(re.findall("of column '(.+?)'", " ".join(told))) == sorted(counted)
        warning = report.inputs["images"]["id_warning"] or ""
        assert (f"column '{id_column}'" in warning) == (id_column in counted)


def test_g2_pairs_whose_keepers_or_scores_are_of_another_type_are_refused(planned, tmp_path):
    for number, (keeper, score) in enumerate([(1, 0.9), ("id-a", "high")]):
        row = {"id": ["id-b"], "max_id": [keeper], "cosine_sim_score": [score]}
        path = write_parquet(pa.table(row), tmp_path / f"{number}.parquet")
        with pytest.raises(ColumnTypeError, match=r"max_id|cosine_sim_score") as refused:
            planned(path, eps=0.2)
        assert "--duplicate-id-column" not in str(refused.value)  # which would not mend it


def test_every_producer_is_named_in_the_report(planned, tmp_path):
    columns = {
        "duplicates/a1b2.parquet": "id",
        "ExactDuplicateIds/part.0.parquet": "url",
        "FuzzyDuplicateIds/part.3.parquet": "image_id",
        "docs_to_remove_consolidated.parquet": "docs_to_remove",
        "of_any_name.parquet": "id",
    }
    lists = [
        write_list(tmp_path / name, [f"id-{letter}"], column=column)
        for (name, column), letter in zip(columns.items(), "abcde", strict=True)
    ]
    report, survivors = planned(*(path.parent for path in lists[:3]), *lists[3:])
    assert list(survivors) == list("abcde")
    described = report.inputs["duplicate_ids"]
    assert [(item["taken_for"], item["id_column"]) for item in described] == [
        ("NeMo Curator's duplicates", "id"),
        ("NeMo Curator's exact duplicates", "url"),
        ("NeMo Curator's fuzzy duplicates", "image_id"),
        ("data-prep-kit's documents to remove", "docs_to_remove"),
        ("a list of IDs", "id"),
    ]


def test_the_exact_duplicates_of_curator_0x_are_found_under_their_own_name(planned, tmp_path):
    """Dask writes a directory, pandas a file; either may be given itself, or the cache around it.

    The ID column is the user's own.
    """
    name = "_exact_duplicates.parquet"
    places = (
        f"1, $x %20/{name}",
        f"2/{name}",
        f"3/{name}/part.0.parquet",
        f"4/{name}/part.0.parquet",
    )
    for place, members in zip(places, ("ba", "dc", "fe", "hg"), strict=True):
        ids = [f"id-{letter}" for letter in members]
        write_parquet(pa.table({"_hashes": ["1", "1"], "url": ids}), tmp_path / place)
        write_list(tmp_path / place[:1] / "_buckets.parquet/part.0.parquet", ["id-a"])
    lists = (tmp_path / places[0], tmp_path / "2", tmp_path / "3" / name, tmp_path / "4")
    report, survivors = planned(*lists)
    assert survivors == {"b": "a", "d": "c", "f": "e", "h": "g"}
    for described in report.inputs["duplicate_ids"]:
        assert (described["id_column"], described["kind"]) == ("url", "groups")
        assert described["taken_for"].startswith("NeMo Curator 0.x exact duplicates")


@pytest.mark.parametrize(
    "columns",
    [
        {"id": ["id-a"], "embedding": [[0.1]], "l2_dist_to_cent": [0.1]},
        {"id": ["id-a"]},  # what is left tells nothing: the directories do
    ],
)
def test_a_directory_of_k_means_results_is_refused(planned, tmp_path, columns):
    for centroid in range(2):
        path = tmp_path / f"kmeans_results/centroid={centroid}/a_0.parquet"
        write_parquet(pa.table(columns), path)
    with pytest.raises(NotAListError, match="k-means") as refused:
        planned(tmp_path / "kmeans_results")
    assert refused.value.exit_code == 3


def test_a_directory_of_pairwise_results_that_holds_others_is_refused(planned, tmp_path):
    path = write_list(tmp_path / "pairwise_results/cluster_0.parquet", ["id-a"])
    with pytest.raises(MissingColumnError, match=r"id, max_id, cosine_sim_score \(columns: id\)"):
        planned(path.parent, eps=0.2)
    assert list(planned(path.parent, list_kind="remove")[1]) == ["a"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cluster_without_pairs_is_an_empty_file_with_or_without_types(planned, tmp_path, version):
    """Alone, where no score has a type; and beside one where they have, and one of pairs."""
    directory = tmp_path / "pairwise_results"
    empty = {"id": [], "max_id": [], "cosine_sim_score": None}
    write_by_pandas(directory / "cluster_0.parquet", version, empty)
    with pytest.raises(EmptyListError):
        planned(directory, eps=0.2)
    write_by_pandas(directory / "cluster_1.parquet", version, empty | {"cosine_sim_score": []})
    full = {"id": ["id-a", "id-b"], "max_id": ["id-a", "id-a"], "cosine_sim_score": [0.0, 0.9]}
    write_by_pandas(directory / "cluster_2.parquet", version, full)
    report, survivors = planned(directory, eps=0.2)
    assert survivors == {"b": "a"}
    assert report.inputs["duplicate_ids"][0]["taken_for"] == "NeMo Curator's pairwise results"


def test_an_empty_file_is_known_where_spark_reads_no_column_without_type(
    planned, tmp_path, monkeypatch
):
    """Spark before SPARK-54220: the footer has the names all the same."""

    def refused(_, file):
        raise UnreadableFileError(f"Illegal Parquet type: INT32 in {file.path!r}")

    monkeypatch.setattr(parquet, "spark_schema", refused)
    columns = {"id": [], "max_id": [], "cosine_sim_score": None}
    path = write_by_pandas(tmp_path / "p/cluster_0.parquet", "2.3.3", columns)
    with pytest.raises(EmptyListError):
        planned(path, eps=0.2)


def test_g11_a_list_to_keep_that_matches_nothing_is_refused_beside_others(planned, tmp_path):
    """The others match, so that the sum of all would not tell."""
    foreign = write_list(tmp_path / "foreign.parquet", ["of another table"])
    empty = write_list(tmp_path / "empty.parquet", [])
    gone = write_list(tmp_path / "gone.parquet", ["id-a"])
    for path in (foreign, empty):
        with pytest.raises(NoMatchesError, match="no ID of the list to keep"):
            planned(gone, DuplicateIds(str(path), kind="keep"))


def test_each_list_tells_how_many_of_its_ids_matched(planned, tmp_path):
    one = write_list(tmp_path / "one.parquet", ["id-a", "id-b", "id-b", "x"])
    other = write_list(tmp_path / "other.parquet", ["id-b.jpg", "y"])
    report, _ = planned(one, other)
    assert [item["matched_ids"] for item in report.inputs["duplicate_ids"]] == [2, 0]
    assert report.counts["list_matched_ids"] == 2


def test_pairs_of_which_none_is_similar_enough_are_no_empty_list(planned, tmp_path):
    path = pairs(tmp_path / "p/1.parquet", ("b", "a", 0.5))
    with pytest.raises(EmptyListError, match=r"all 1 listed pairs have scores beyond their limit"):
        planned(path, eps=0.1)
    assert planned(path, eps=0.1, allow_empty_list=True)[1] == {}


@pytest.mark.parametrize("keepers", [["id-a", None], [None, None]])
def test_g11_a_pair_without_a_keeper_counts_as_lost(planned, tmp_path, keepers):
    """Where no pair of a file has one, pandas gives the column no type."""
    columns = {"id": ["id-b", "id-c"], "max_id": keepers, "cosine_sim_score": [0.1, 0.9]}
    path = write_by_pandas(tmp_path / "p/1.parquet", "2.3.3", columns)
    with pytest.raises(LostKeeperError, match="'id-c'") as stopped:
        planned(path, eps=0.2)
    assert stopped.value.exit_code == 4
    assert planned(path, eps=0.2, on_lost_keeper="keep-one")[1] == {}


def test_columns_that_are_not_read_are_in_the_report(planned, tmp_path):
    """Those of the files with rows: an empty one decides nothing."""
    for number, (ids, other) in enumerate([(["id-a"], "why"), (["id-b"], "shard"), ([], "x")]):
        listed = pa.table({"id": pa.array(ids, pa.string()), other: pa.array(ids, pa.string())})
        write_parquet(listed, tmp_path / f"list/{number}.parquet")
    report, survivors = planned(tmp_path / "list")
    assert list(survivors) == ["a", "b"]
    assert report.inputs["duplicate_ids"][0]["other_columns"] == ["why", "shard"]


def test_keepers_go_by_no_image_and_by_no_nan(planned, tmp_path):
    path = groups(tmp_path / "all.parquet", {"c": "1", "b": "1"})
    with pytest.raises(ColumnTypeError, match=r"can't compare column 'image', which is binary"):
        planned(path, keeper="largest:image")


def test_groups_of_two_lists_are_not_those_of_one_with_the_same_key(remove, tmp_path):
    """As one list a, b, c and d are one group; as two they are two."""
    images = write_parquet(image_rows(IDS), tmp_path / "images/1.parquet").parent
    for name, letters in (("g1", "ab"), ("g2", "cd"), ("both", "abcd")):
        groups(tmp_path / f"{name}.parquet", dict.fromkeys(letters, "1"))
    out = tmp_path / "out"
    remove(images, [tmp_path / "g1.parquet", tmp_path / "g2.parquet"], out, run_key="k")
    with pytest.raises(RunKeyError):
        remove(images, tmp_path / "both.parquet", out, run_key="k")
