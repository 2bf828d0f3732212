"""The demo's pictures, lists and pairs, its proof, and how it compares rows; no Spark."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.demo import curators_way, near_duplicates, pictures
from tests.demo.choose_eps import EPS, Outcome, outcome_of
from tests.demo.run_demo import digest
from tests.demo.spark_runs import DemoError
from tests.demo.steps import Places
from tests.demo.survivors import chain_of, neighbours_within, prove_survivors


@pytest.fixture(scope="module")
def few_images() -> pa.Table:
    return pictures.image_table(40, num_shards=3)


def test_the_pictures_are_the_same_every_time(few_images):
    assert pictures.image_table(40, num_shards=3).equals(few_images)


def test_width_height_and_format_are_those_of_the_image(few_images):
    for row in few_images.to_pylist():
        with Image.open(io.BytesIO(row["image"])) as image:
            assert (image.width, image.height) == (row["width"], row["height"])
            assert image.format == row["format"]


def test_shards_hold_all_rows_in_the_order_of_the_ids(few_images, tmp_path):
    pictures.write_shards(few_images, tmp_path / "images")
    assert len(list((tmp_path / "images").iterdir())) == 3
    assert pq.read_table(tmp_path / "images").equals(few_images)
    ids = few_images["image_id"].to_pylist()
    assert ids == sorted(set(ids))


def test_a_reencoded_copy_is_found_and_the_first_one_stays():
    row = pictures.image_table(1).to_pylist()[0]
    with Image.open(io.BytesIO(row["image"])) as image:
        copy = io.BytesIO()
        image.convert("RGB").save(copy, "JPEG", quality=60)
    table = pa.table({"image_id": ["first", "copy"], "image": [row["image"], copy.getvalue()]})
    assert near_duplicates.find_near_duplicates(table) == ["copy"]


def test_all_but_the_first_version_of_each_crop_are_found(few_images):
    captions = few_images["caption"].to_pylist()
    ids = few_images["image_id"].to_pylist()
    later = [ids[n] for n, caption in enumerate(captions) if caption in captions[:n]]
    assert near_duplicates.find_near_duplicates(few_images) == later
    assert 0 < len(later) < len(ids)


def test_the_list_has_an_empty_file_of_null_type_beside_those_with_ids(tmp_path):
    ids = [f"{number:05d}_000000" for number in range(20, 0, -1)]
    near_duplicates.write_list(ids, tmp_path / "duplicates")
    files = [pq.ParquetFile(path) for path in (tmp_path / "duplicates").iterdir()]
    tables = [file.read() for file in files]
    assert sorted(value for table in tables for value in table["id"].to_pylist()) == sorted(ids)
    kinds = sorted(
        (str(table.schema), file.schema.column(0).physical_type, table.num_rows == 0)
        for file, table in zip(files, tables, strict=True)
    )
    with_ids = ("id: string", "BYTE_ARRAY", False)
    assert kinds == [("id: null", "INT32", True)] + [with_ids] * (len(files) - 1)


def test_pairs_are_those_of_nemo_curator_one_for_each_picture(few_images):
    clusters = near_duplicates.find_pairs(few_images)
    assert len(clusters) > 1
    for cluster in clusters:
        assert [(field.name, str(field.type)) for field in cluster.schema] == [
            ("id", "string"),
            ("max_id", "string"),
            ("cosine_sim_score", "float"),
        ]
    ids = [value for cluster in clusters for value in cluster["id"].to_pylist()]
    assert sorted(ids) == sorted(few_images["image_id"].to_pylist())


def test_a_neighbour_ranks_before_and_the_first_of_a_cluster_is_its_own(few_images):
    for cluster in near_duplicates.find_pairs(few_images):
        first, *others = cluster.to_pylist()
        assert first == {"id": first["id"], "max_id": first["id"], "cosine_sim_score": 0.0}
        ranked = cluster["id"].to_pylist()
        for rank, row in enumerate(others, 1):
            assert ranked.index(row["max_id"]) < rank
            assert 0 < row["cosine_sim_score"] <= 1


def test_no_neighbour_is_smaller(few_images):
    pixels = {row["image_id"]: row["width"] * row["height"] for row in few_images.to_pylist()}
    for cluster in near_duplicates.find_pairs(few_images):
        for row in cluster.to_pylist():
            assert pixels[row["max_id"]] >= pixels[row["id"]]


def test_the_most_similar_of_those_before_is_the_neighbour_and_of_several_the_first():
    """Both a and b differ from d by 8 bits. The nearest to c is d, which is not before it."""
    distances = np.array([[0, 6, 30, 8], [6, 0, 32, 8], [30, 32, 0, 28], [8, 8, 28, 0]])
    assert near_duplicates.pairs_of_cluster(list("abcd"), distances).to_pylist() == [
        {"id": "a", "max_id": "a", "cosine_sim_score": 0.0},
        {"id": "b", "max_id": "a", "cosine_sim_score": 1 - 6 / 64},
        {"id": "c", "max_id": "a", "cosine_sim_score": 1 - 30 / 64},
        {"id": "d", "max_id": "a", "cosine_sim_score": 1 - 8 / 64},
    ]


def test_distances_are_the_bits_that_differ():
    hashes = np.random.default_rng(1).random((5, 64)) < 0.5
    hashes[4] = ~hashes[0]
    expected = [[int((one != other).sum()) for other in hashes] for one in hashes]
    assert near_duplicates.distances_between(hashes).tolist() == expected
    assert expected[0][4] == 64


def test_what_is_near_through_others_is_in_one_group():
    """0 and 3 are far from one another, and near by way of 4 and 1; 2 is near to nobody."""
    distances = np.full((5, 5), 40)
    for one, other in [(0, 4), (4, 1), (1, 3)]:
        distances[one, other] = distances[other, one] = 16
    np.fill_diagonal(distances, 0)
    assert near_duplicates.groups_of_near(distances).tolist() == [0, 0, 2, 0, 0]


def test_a_last_cluster_has_no_rows_and_ids_of_null_type(few_images, tmp_path):
    clusters = near_duplicates.find_pairs(few_images)
    near_duplicates.write_pairs(clusters, tmp_path / "pairs")
    files = [tmp_path / f"pairs/cluster_{number}.parquet" for number in range(len(clusters) + 1)]
    assert sorted((tmp_path / "pairs").iterdir()) == sorted(files)
    assert [pq.read_table(file) for file in files[:-1]] == clusters
    empty = pq.read_table(files[-1])
    assert empty.num_rows == 0
    assert [(field.name, str(field.type)) for field in empty.schema] == [
        ("id", "null"),
        ("max_id", "null"),
        ("cosine_sim_score", "float"),
    ]


@pytest.fixture
def prove(tmp_path):
    """Prove what a run did with the pairs d -> c -> b -> a, e -> a and f -> a, which is too far."""
    scored = [("a", "a", 0.0), ("b", "a", 0.9), ("c", "b", 1.0), ("d", "c", 0.8), ("e", "a", 0.75)]
    rows = [dict(zip(near_duplicates.PAIRS_SCHEMA.names, row, strict=True)) for row in scored]
    rows.append({"id": "f", "max_id": "a", "cosine_sim_score": 0.7})

    def prove(survivors, *, kept="af", rows=rows):
        clusters = [pa.Table.from_pylist(rows, near_duplicates.PAIRS_SCHEMA)]
        near_duplicates.write_pairs(clusters, tmp_path / "pairs")
        plan = {"image_id": list(survivors), "surviving_keeper_id": list(survivors.values())}
        for name, columns in {"removed": plan, "kept": {"image_id": list(kept)}}.items():
            (tmp_path / name).mkdir()
            pq.write_table(pa.table(columns), tmp_path / name / "1.parquet")
        return prove_survivors(
            *(tmp_path / name for name in ("pairs", "removed", "kept")), eps=0.25
        )

    return prove


def test_a_removed_picture_is_followed_to_its_survivor(prove):
    chains = prove(dict.fromkeys("bcde", "a"))
    assert {image_id: "".join(chain) for image_id, chain in chains.items()} == {
        "b": "ba",
        "c": "cba",
        "d": "dcba",
        "e": "ea",
    }


@pytest.mark.parametrize(
    ("survivors", "kept", "message"),
    [
        ({"b": "a", "c": "a", "d": None, "e": "a"}, "af", "'d' names None .* lead to 'a'"),
        ({"b": "a", "c": "a", "d": "f", "e": "a"}, "af", "'d' names 'f' .* lead to 'a'"),
        ({"b": "a", "c": "a", "d": "c", "e": "a"}, "af", "'d' names 'c' .* lead to 'a'"),
        ({"b": "a", "c": "a", "d": "a", "e": "a"}, "f", "no survivor of 'b': .* lead to 'a'"),
        ({"b": "a", "c": "a", "d": "a", "e": "a"}, "aef", "does not hold what .*pairs says"),
        ({"b": "a", "c": "a", "e": "a"}, "adf", "does not hold what .*pairs says"),
        ({"b": "a", "c": "a", "d": "a", "e": "a", "f": "a"}, "a", "does not hold what"),
    ],
    ids=["null", "not reached", "gone", "not kept", "kept, too", "not removed", "not alike"],
)
def test_a_wrong_plan_is_no_proof(prove, survivors, kept, message):
    with pytest.raises(DemoError, match=message):
        prove(survivors, kept=kept)


def test_pictures_that_name_one_another_have_no_survivor(prove):
    rows = [{"id": i, "max_id": o, "cosine_sim_score": 0.9} for i, o in ("ab", "bc", "ca")]
    with pytest.raises(DemoError, match="no survivor of 'a': the pairs lead to 'c'"):
        prove(dict.fromkeys("abc", "d"), kept="d", rows=rows)


def test_captions_tell_what_was_right_what_was_not_and_what_was_missed():
    captions = {"a": "tree", "b": "tree", "c": "tree", "d": "house", "e": "tree"}
    images = pa.table({"image_id": list(captions), "caption": list(captions.values())})
    chains = {"b": ["b", "a"], "d": ["d", "b", "a"], "c": ["c", "d", "b", "a"]}
    assert outcome_of(images, chains) == Outcome(
        removed=3, kept=2, with_survivor=3, longest_chain=3, true=2, mistaken=1, missed=1
    )


def test_at_the_middle_eps_all_near_duplicates_are_found_and_nothing_else(few_images, tmp_path):
    """And at the smallest some are missed; the demo's table rests on it."""
    near_duplicates.write_pairs(near_duplicates.find_pairs(few_images), tmp_path / "pairs")
    ids = set(few_images["image_id"].to_pylist())
    missed = []
    for eps in EPS[:2]:
        neighbours = neighbours_within(tmp_path / "pairs", eps)
        stay = ids - set(neighbours)
        chains = {image_id: chain_of(image_id, neighbours, stay) for image_id in neighbours}
        outcome = outcome_of(few_images, chains)
        assert outcome.mistaken == 0
        missed.append(outcome.missed)
    assert missed[0] > missed[1] == 0


def test_the_digest_is_that_of_the_rows_in_any_order(few_images):
    backwards = few_images.take(list(range(few_images.num_rows))[::-1])
    assert digest(backwards) == digest(few_images)


def test_the_digest_tells_of_one_byte_a_lost_row_and_another_type(few_images):
    images = few_images["image"].to_pylist()
    images[0] = images[0][:-1] + bytes([images[0][-1] ^ 1])
    index = few_images.column_names.index("image")
    changed = few_images.set_column(index, "image", pa.array(images))
    index = few_images.column_names.index("width")
    wider = few_images.set_column(index, "width", few_images["width"].cast(pa.int64()))
    tables = [few_images, changed, wider, few_images.slice(1)]
    assert len({digest(table) for table in tables}) == len(tables)


def test_curators_numbers_count_the_jpegs_of_a_shard_alone(few_images):
    rows = few_images.to_pylist()
    png = next(n for n, row in enumerate(rows) if row["format"] == "PNG")
    ids = curators_way.curator_ids(few_images)
    assert rows[png]["image_id"] not in ids
    later = next(row["image_id"] for row in rows[png:] if row["format"] == "JPEG")
    shard, _, position = later.partition("_")
    assert ids[later] == f"{shard}_{int(position) - 1:06d}"
    assert len(ids) == sum(row["format"] == "JPEG" for row in rows)


def test_shards_that_webdataset_wrote_are_read_back_and_one_byte_is_noticed(few_images, tmp_path):
    places = Places(tmp_path)
    curators_way.write_shards(few_images, places.kept_shards)
    curators_way.compare(places, few_images, [])
    with pytest.raises(DemoError, match="keys in 00000"):
        curators_way.compare(places, few_images, ["00000_000001"])
    path = places.kept_shards / "00001.tar"
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\xd8") + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DemoError, match=r"SHA-256 of the members of 00001\.tar"):
        curators_way.compare(places, few_images, [])
