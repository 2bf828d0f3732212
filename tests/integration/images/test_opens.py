"""How often a run opens each file of the image table."""

import pyarrow as pa
import pytest

from tests.support.faults.opens import counted_opens
from tests.support.tables.made import delta_table, image_rows, write_list, write_parquet

FILES = [f"{number}.parquet" for number in range(4)]


@pytest.fixture
def images(tmp_path):
    for name in FILES:
        write_parquet(image_rows([f"{name}-{row}" for row in range(6)]), tmp_path / "images" / name)
    return tmp_path / "images"


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list.parquet", [f"{name}-2" for name in FILES[:3]])


def opens_of(images, remove, *arguments, **settings):
    with counted_opens(images) as opens:
        remove(images, *arguments, **settings)
    return {name: count for name, count in opens.items() if name in FILES}


def test_arrow_opens_each_file_twice(images, listed, remove, tmp_path):
    """For the plan, and to rewrite it."""
    assert opens_of(images, remove, listed, tmp_path / "out") == dict.fromkeys(FILES, 2)


COMPARED = {
    "groups": ({"keeper": "largest:n"}, "groups"),
    "groups and a condition": ({"protect_where": "n > 3", "keeper": "smallest:n"}, "groups"),
    "pairs": ({"eps": 0.1, "on_lost_keeper": "keep-one", "keeper": "largest:n"}, "pairs"),
    "protected": ({"protect_ids": "protect"}, "groups"),
    "unmatched": ({"unmatched_output": "unmatched"}, "groups", "strange"),
    "hints": ({"allow_no_matches": True}, "strange"),
}


@pytest.mark.parametrize("case", COMPARED)
def test_nothing_that_a_plan_compares_opens_them_again(images, remove, tmp_path, case):
    """Keepers, protected images, IDs that match nothing, and reasons why few match."""
    for name in FILES:
        rows = image_rows([f"{name}-{row}" for row in range(6)])
        rows = rows.append_column("n", pa.array(range(6), pa.int16()))
        write_parquet(rows, images / name)
    ids = [f"{name}-{row}" for name in FILES for row in (1, 2)]
    groups = {"id": ids, "group": [1, 1, 2, 2, 3, 3, 4, 4]}
    write_parquet(pa.table(groups), tmp_path / "groups")
    pairs = {"id": ids, "max_id": ids[1:] + ids[:1], "cosine_sim_score": [0.99] * 8}
    write_parquet(pa.table(pairs), tmp_path / "pairs")
    write_list(tmp_path / "strange", [f"no-{number}" for number in range(9)])
    write_list(tmp_path / "protect/1.parquet", ids[:1])
    settings, *lists = COMPARED[case]
    if "protect_ids" in settings:
        settings = {"protect_ids": (f"{tmp_path}/protect",)}
    if "unmatched_output" in settings:
        settings = {"unmatched_output": f"{tmp_path}/unmatched"}
    locations = [tmp_path / name for name in lists]
    found = opens_of(images, remove, locations, tmp_path / "out", **settings)
    assert found == dict.fromkeys(FILES, 2)


def test_a_dry_run_opens_each_file_once(images, listed, remove):
    assert opens_of(images, remove, listed, None, dry_run=True) == dict.fromkeys(FILES, 1)


@pytest.mark.parametrize("settings", [{"engine": "spark"}, {"output_format": "delta"}])
def test_spark_opens_each_file_as_often_as_a_scan_and_once_for_the_plan(
    spark, images, listed, remove, tmp_path, settings
):
    with counted_opens(images) as plain:
        spark.read.schema("image_id string, image binary").parquet(str(images)).collect()
    found = opens_of(images, remove, listed, tmp_path / "out", **settings)
    assert found == {name: plain[name] + 1 for name in FILES}


def delta_files(opens):
    return {name: count for name, count in opens.items() if name.endswith(".parquet")}


@pytest.fixture
def delta(spark, images, tmp_path):
    """A Delta table of one file, and how often a scan opens it."""
    table = delta_table(
        spark.read.parquet(str(images)), tmp_path / "delta", enableDeletionVectors="true"
    )
    with counted_opens(table) as plain:
        spark.read.format("delta").load(str(table)).collect()
    return table, delta_files(plain)


SCANS = {
    "dry run": ({"dry_run": True}, 1),
    "in place": ({"method": "in-place"}, 3),
    "clone": ({"method": "clone"}, 3),
}


@pytest.mark.parametrize("case", SCANS)
def test_delta_is_scanned_for_the_plan_the_deletion_and_its_proof(
    delta, listed, remove, tmp_path, case
):
    table, plain = delta
    settings, num_scans = SCANS[case]
    output = tmp_path / "out" if case == "clone" else None
    with counted_opens(table) as opens:
        remove(table, listed, output, **settings)
    assert delta_files(opens) == {name: num_scans * count for name, count in plain.items()}


def test_a_run_for_what_is_new_scans_old_files_once(spark, delta, listed, remove, tmp_path):
    """Besides, it reads the footers of the largest files, to see how new rows are best written."""
    table, plain = delta
    settings = {"since_last_run": True, "output_format": "delta"}
    remove(table, listed, tmp_path / "out", **settings)
    new = spark.createDataFrame([("new", b"image")], "image_id string, image binary")
    new.write.format("delta").mode("append").save(str(table))
    with counted_opens(table) as opens:
        remove(table, listed, tmp_path / "out", **settings)
    assert {name: opens[name] for name in plain} == {name: plain[name] + 1 for name in plain}
