"""What a list is taken for, by its columns and its directories."""

import pytest

from dedup_lib.errors import AmbiguousListError, MissingColumnError, NotAListError
from dedup_lib.lists.kinds import check_one_kind, recognise, recognise_npy
from dedup_lib.settings import DuplicateIds

TYPES = {"_curator_dedup_id": "bigint", "docs_to_remove": "bigint", "cosine_sim_score": "float"}


def asked(**settings):
    return DuplicateIds("the list", **settings)


def taken_for(path, columns, **settings):
    types = {name: TYPES.get(name, "string") for name in columns.split()}
    return recognise("the list", path, types, asked(**settings))


@pytest.mark.parametrize(
    ("path", "columns", "kind", "id_column", "producer"),
    [
        ("duplicates/a1b2.parquet", "id", "remove", "id", "NeMo Curator's duplicates"),
        ("duplicates/", "id", "remove", "id", "NeMo Curator's duplicates"),
        ("duplicates/dt=1/a.parquet", "id", "remove", "id", "NeMo Curator's duplicates"),
        ("duplicates/a.parquet", "id why", "remove", "id", "a list of IDs"),
        ("duplicates/old/a.parquet", "id", "remove", "id", "a list of IDs"),
        ("ExactDuplicateIds/part.0.parquet", "_curator_dedup_id", "remove", "_curator_dedup_id",
         "NeMo Curator's exact duplicates"),
        ("ExactDuplicateIds/part.0.parquet", "url", "remove", "url",
         "NeMo Curator's exact duplicates"),
        ("FuzzyDuplicateIds/part.12.parquet", "image_id", "remove", "image_id",
         "NeMo Curator's fuzzy duplicates"),
        ("FuzzyDuplicateIds/part.12.parquet", "group", "remove", "group",
         "NeMo Curator's fuzzy duplicates"),
        ("ids/part.0.parquet", "_curator_dedup_id", "remove", "_curator_dedup_id",
         "NeMo Curator's generated IDs"),
        ("docs_to_remove_consolidated.parquet", "docs_to_remove", "remove", "docs_to_remove",
         "data-prep-kit's documents to remove"),
        ("pairwise_results/cluster_0.parquet", "id max_id cosine_sim_score", "pairwise", "id",
         "NeMo Curator's pairwise results"),
        ("a.parquet", "cosine_sim_score id max_id __index_level_0__", "pairwise", "id",
         "NeMo Curator's pairwise results"),
        ("a.parquet", "id max_id cosine_sim_score why", "pairwise", "id",
         "NeMo Curator's pairwise results"),
        ("_exact_duplicates.parquet", "id _hashes", "groups", "id",
         "NeMo Curator 0.x exact duplicates, every member of each group"),
        ("_exact_duplicates.parquet", "_hashes url", "groups", "url",
         "NeMo Curator 0.x exact duplicates, every member of each group"),
        ("a.parquet", "id _hashes dataset", "groups", "id",
         "NeMo Curator 0.x exact duplicates, every member of each group"),
        ("ConnectedComponentsStage/1.parquet", "_curator_dedup_id _duplicate_group_id", "groups",
         "_curator_dedup_id", "NeMo Curator's connected components, every member of each group"),
        ("a.parquet", "id _duplicate_group_id url", "groups", "id",
         "NeMo Curator's connected components, every member of each group"),
        ("a.parquet", "_curator_dedup_id __index_level_0__", "remove", "_curator_dedup_id",
         "NeMo Curator's generated IDs"),
        ("a.parquet", "id shard score why", "remove", "id", "a list of IDs"),
        ("a.parquet", "image_id group __index_level_0__", "groups", "image_id",
         "groups, every member of each (NeMo Curator 0.x fuzzy duplicates)"),
    ],
)  # fmt: skip
def test_a_producer_is_known_by_columns_and_directory(path, columns, kind, id_column, producer):
    shape = taken_for(f"file:/data/{path}", columns)
    assert (shape.kind, shape.id_column, shape.producer) == (kind, id_column, producer)


def test_what_the_user_says_wins():
    fuzzy = "/x/FuzzyDuplicateIds/part.0.parquet"
    assert taken_for(fuzzy, "url id", id_column="url").id_column == "url"
    assert taken_for(fuzzy, "url", kind="keep").kind == "keep"
    assert taken_for("/x/kmeans_results/centroid=0/1.parquet", "id", kind="remove").kind == "remove"
    with pytest.raises(MissingColumnError, match="has no column 'uid'"):
        taken_for(fuzzy, "url", id_column="uid")


@pytest.mark.parametrize("directory", ["ExactDuplicateIds", "FuzzyDuplicateIds", "duplicates"])
def test_one_of_several_columns_is_not_guessed(directory):
    with pytest.raises(MissingColumnError, match="has no column 'id'"):
        taken_for(f"/x/{directory}/part.0.parquet", "image_id url")


def test_a_group_among_other_columns_may_name_all_members_or_those_to_remove():
    with pytest.raises(AmbiguousListError, match=r"--list-kind groups or --list-kind remove"):
        taken_for("/x/a.parquet", "id group dataset")
    assert taken_for("/x/a.parquet", "id group dataset", kind="groups").group_column == "group"
    assert taken_for("/x/a.parquet", "id group dataset", kind="remove").group_column is None


MAYBE_GROUPS = [
    *("component", "component_id", "cluster", "cluster_id", "group_id", "set", "rep"),
    *("Component", "CLUSTER_ID", "Group", "_Hashes"),
]


@pytest.mark.parametrize("column", MAYBE_GROUPS)
@pytest.mark.parametrize("others", ["", " why"])
def test_g11_ids_beside_a_column_that_may_tell_groups_are_not_guessed(column, others):
    """Every member of each group may be listed: all copies would go."""
    columns = f"{column} id{others}"
    message = rf"column '{column}' beside its IDs \('id'\).*remove every copy.*-column {column}"
    with pytest.raises(AmbiguousListError, match=message):
        taken_for("/x/a.parquet", columns)
    with pytest.raises(AmbiguousListError, match=rf"'{column}' beside its IDs \('uid'\)"):
        taken_for("/x/a.parquet", f"uid {columns}", id_column="uid")
    for kind in ("remove", "keep"):
        shape = taken_for("/x/a.parquet", columns, kind=kind)
        assert (shape.kind, shape.id_column) == (kind, "id")
    shape = taken_for("/x/a.parquet", columns, group_column=column)
    assert (shape.kind, shape.id_column, shape.group_column) == ("groups", "id", column)
    if others and column.islower() and column != "group":
        with pytest.raises(MissingColumnError, match="Name it with --group-column"):
            taken_for("/x/a.parquet", columns, kind="groups")
    elif not others:
        assert taken_for("/x/a.parquet", columns, kind="groups").group_column == column
    assert taken_for("/x/a.parquet", columns, id_column=column).id_column == column


def test_g11_a_partition_counts_as_a_column_that_may_tell_groups():
    path = "/x/set=of/ids/dt=1/Component=3/a.parquet"
    with pytest.raises(AmbiguousListError, match="column 'Component' beside its IDs"):
        taken_for(path, "id")
    assert taken_for(path, "id", kind="remove").kind == "remove"
    assert taken_for("/x/set=of/ids/dt=1/a.parquet", "id").kind == "remove"


def test_lists_of_a_known_kind_may_have_a_column_that_may_tell_groups():
    for columns, kind in (
        ("id max_id cosine_sim_score cluster", "pairwise"),
        ("id _hashes cluster_id", "groups"),
        ("id _duplicate_group_id component", "groups"),
    ):
        assert taken_for("/x/a.parquet", columns).kind == kind
    assert taken_for("/x/a.parquet", "cluster_id", id_column="cluster_id").kind == "remove"
    assert taken_for("/x/ExactDuplicateIds/a.parquet", "cluster_id").id_column == "cluster_id"


def test_pairwise_results_of_other_columns_are_refused():
    message = r"columns id, max_id, cosine_sim_score \(columns: id, cosine_sim_score\).*--list-kind"
    with pytest.raises(MissingColumnError, match=message):
        taken_for("/x/pairwise_results/cluster_0.parquet", "id cosine_sim_score")


@pytest.mark.parametrize("columns", ["id", "id l2_dist_to_cent", "url cosine_dist_to_cent"])
def test_a_directory_of_k_means_is_no_list(columns):
    with pytest.raises(NotAListError, match="k-means"):
        taken_for("/x/kmeans_results/centroid=3/0.parquet", columns)


def test_the_ids_of_0x_have_two_meanings_with_row_labels_too():
    with pytest.raises(AmbiguousListError):
        taken_for("/x/a.parquet", "id dist cluster __index_level_0__")


def test_npy_files_hold_ids_to_keep_unless_the_user_says_otherwise():
    assert recognise_npy("l", asked()).kind == recognise_npy("l", asked(kind="keep")).kind == "keep"
    assert recognise_npy("l", asked()).producer == "DataComp's IDs to keep (.npy)"
    assert recognise_npy("l", asked(kind="remove")).producer == "a list of IDs (.npy)"
    for kind in ("pairwise", "groups"):
        with pytest.raises(MissingColumnError, match=f"not {kind}: --list-kind must be keep or"):
            recognise_npy("l", asked(kind=kind))


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"_curator_dedup_id": "bigint", "_bucket_id": "string"}, NotAListError, "LSH"),
        ({"_curator_dedup_id": "bigint", "_minhash_signature": "array<bigint>"}, NotAListError,
         "MinHash"),
        ({"_curator_dedup_id": "bigint", "x": "string"}, AmbiguousListError, "has no other column"),
        ({"url": "string", "dist": "float", "cluster": "int", "t": "string"}, AmbiguousListError,
         "two meanings"),
        ({"id": "string", "keep": "boolean"}, NotAListError, "an annotated image table"),
        ({"id": "string", "kept_image_id": "string"}, NotAListError, "annotated"),
        ({"id": "string", "jpg": "binary", "caption": "string"}, NotAListError, "an image table"),
        ({"id": "string", "image": "struct<bytes:binary,path:string>"}, NotAListError,
         "an image table"),
        ({"id": "string", "v": "array<float>"}, NotAListError, "embeddings"),
        ({"id": "string", "v": "array<array<double>>"}, NotAListError, "embeddings"),
        ({"id": "string", "is_duplicate": "int"}, NotAListError, "annotated"),
        ({"key": "string", "cosine_dist_to_cent": "float", "cluster": "int"}, AmbiguousListError,
         "two meanings"),
        ({"id": "string", "cosine_sim_score": "float"}, AmbiguousListError,
         "pairs without keepers"),
        ({"key": "string", "max_id": "string", "cosine_sim_score": "float"}, AmbiguousListError,
         "pairs without 'id'"),
        ({"id": "string", "cosine_dist_to_cent": "float"}, NotAListError, "k-means"),
        ({"id": "string", "max_id": "string", "score": "float"}, AmbiguousListError,
         "pairs without scores"),
    ],
)  # fmt: skip
def test_what_may_name_every_image_is_not_taken_for_removal(columns, error, message):
    def shape(kind=None, id_column=None):
        return recognise("list", "/x/a.parquet", columns, asked(kind=kind, id_column=id_column))

    with pytest.raises(error, match=rf"(?s){message}.*--list-kind"):
        shape()
    own_id = next(iter(columns))
    assert shape("remove", own_id).id_column == own_id
    assert shape("remove", own_id).other_columns == tuple(columns)[1:]


@pytest.mark.parametrize("kind", ["remove", "keep", "pairwise", "groups"])
def test_an_explicit_kind_is_taken_whatever_the_columns_look_like(kind):
    columns = {
        "_curator_dedup_id": "bigint", "_duplicate_group_id": "bigint", "max_id": "bigint",
        "cosine_sim_score": "float", "jpg": "binary", "is_duplicate": "boolean",
    }  # fmt: skip
    own_id = "_curator_dedup_id" if kind == "pairwise" else None
    shape = recognise("list", "/x/a.parquet", columns, asked(kind=kind, id_column=own_id))
    assert (shape.kind, shape.id_column) == (kind, "_curator_dedup_id")
    assert {*shape.columns, *shape.other_columns} == set(columns)
    with pytest.raises(NotAListError, match="an image table"):
        recognise("list", "/x/a.parquet", columns, asked())


def test_the_field_of_a_struct_that_is_called_binary_is_no_bytes():
    columns = {"id": "string", "made_by": "struct<binary:string,version:int>"}
    shape = recognise("list", "/x/a.parquet", columns, asked())
    assert shape.kind == "remove"


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (["uid"], "remove"),
        (["uid", "group"], "groups"),
        (["uid", "duplicate_of"], "pairwise"),
        (["id", "max_id", "cosine_sim_score"], "pairwise"),
    ],
)
def test_bytes_that_may_be_ids_are_no_images(columns, kind):
    types = dict.fromkeys(columns, "binary") | {"group": "string", "cosine_sim_score": "float"}
    found = recognise("list", "/x/a.parquet", {name: types[name] for name in columns}, asked())
    assert (found.kind, found.id_column) == (kind, columns[0])


def test_connected_components_name_every_member():
    shape = taken_for("/x/a.parquet", "_curator_dedup_id _duplicate_group_id")
    assert shape.group_column == "_duplicate_group_id"
    assert shape.other_columns == ()


def test_of_two_columns_of_groups_the_other_than_the_ids_names_them():
    shape = taken_for("/x/a.parquet", "id group", kind="groups", id_column="group")
    assert (shape.id_column, shape.group_column) == ("group", "id")
    message = r"known to name groups besides the ID column 'group' \(columns: id, group, why\)"
    with pytest.raises(MissingColumnError, match=message) as refused:
        taken_for("/x/a.parquet", "id group why", kind="groups", id_column="group")
    assert "Did you mean" not in str(refused.value)


@pytest.mark.parametrize("column", ["image_id", "key", "uid", "path", "filename", "x"])
def test_a_list_of_one_column_is_that_column(column):
    shape = taken_for("/x/a.parquet", f"{column} __index_level_0__")
    assert (shape.kind, shape.id_column) == ("remove", column)


@pytest.mark.parametrize(
    "column", ["component", "Cluster_ID", "_hashes", "keeper_id", "kept", "to_keep"]
)
def test_g11_a_single_column_whose_name_says_groups_or_keepers_is_not_guessed(column):
    with pytest.raises(
        AmbiguousListError, match=f"only the column '{column}'.*-id-column {column}"
    ):
        taken_for("/x/a.parquet", column)
    assert taken_for("/x/a.parquet", column, id_column=column).kind == "remove"


@pytest.mark.parametrize("column", ["duplicate_of", "Keeper_ID", "representative_id"])
def test_the_image_that_stays_is_known_by_the_name_of_its_column(column):
    shape = taken_for("/x/a.parquet", f"path {column}")
    assert (shape.kind, shape.id_column, shape.keeper_column) == ("pairwise", "path", column)
    assert (shape.score_column, shape.names_only_duplicates) == (None, False)
    scored = f"id {column} hash_distance"
    with pytest.raises(AmbiguousListError, match=r"--score-column hash_distance .*--max-distance"):
        taken_for("/x/a.parquet", scored)
    assert taken_for("/x/a.parquet", scored, keeper_column=column).score_column is None
    shape = taken_for("/x/a.parquet", scored, score_column="hash_distance")
    assert (shape.kind, shape.score_column) == ("pairwise", "hash_distance")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("group_column", "groups"), ("partner_column", "groups"), ("keeper_column", "pairwise")],
)
def test_a_column_that_the_user_maps_decides_the_kind(name, kind):
    shape = taken_for(
        "/x/a.parquet", "why from to s", id_column="from", score_column="s", **{name: "to"}
    )
    assert (shape.kind, shape.id_column, getattr(shape, name)) == (kind, "from", "to")
    assert shape.other_columns == (("why", "s") if name == "group_column" else ("why",))
    for flag, missing in (
        (f"--{name.replace('_', '-')}", {name: "group", "id_column": "from"}),
        ("--duplicate-id-column", {name: "to"}),
    ):
        with pytest.raises(MissingColumnError, match=f"has no column .* Use {flag}"):
            taken_for("/x/a.parquet", "from to s", **missing)
    if name != "group_column":
        with pytest.raises(
            MissingColumnError, match=r"has no column 'score' .* Use --score-column"
        ):
            taken_for("/x/a.parquet", "id to", score_column="score", **{name: "to"})


@pytest.mark.parametrize("score", ["mse", "hamming", "cosine_dissimilarity", "sim"])
def test_g11_keepers_by_name_beside_scores_need_a_limit(score):
    for kind in (None, "pairwise"):
        with pytest.raises(AmbiguousListError, match=f"--score-column {score} "):
            taken_for("/x/a.parquet", f"id keeper_id {score}", kind=kind)


def test_g11_of_two_names_for_keepers_neither_is_guessed():
    for columns in ("id original_id duplicate_of", "duplicate_of original_id"):
        with pytest.raises(AmbiguousListError, match="several columns that name an image that"):
            taken_for("/x/a.parquet", columns)
    mapped = taken_for("/x/a.parquet", "id original_id duplicate_of", keeper_column="original_id")
    assert mapped.keeper_column == "original_id"


def test_files_with_ids_in_other_columns_are_refused():
    shapes = {path: taken_for("/x/a.parquet", columns) for path, columns in
              {"a": "x", "b": "id x"}.items()}  # fmt: skip
    with pytest.raises(AmbiguousListError, match="'a' has x; 'b' has id"):
        check_one_kind("the list", shapes)
