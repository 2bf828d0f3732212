"""Tables of other formats are neither read as Parquet nor written to: layouts made by hand."""

import json

import pytest

from dedup_lib.errors import OutputExistsError, TableFormatError
from dedup_lib.session.open_storage import open_storage
from tests.support.tables.made import image_rows, tree_digest, write_list, write_parquet

UUID = "01a22465-ada2-7094-8301-fd611d6cf292"
DUCKLAKE = f"ducklake-{UUID}.parquet"
# What lies in the table's directory, where its rows are, and places in it.
LAYOUTS = {
    "Iceberg table": ([f"metadata/00000-{UUID}.metadata.json"], "data/p=1/1.parquet", ["data"]),
    "DuckLake table": ([], DUCKLAKE, []),
    "Paimon table": (
        ["snapshot/snapshot-1", "manifest/manifest-1-0", "schema/schema-0"],
        "p=1/bucket-0/data-1-0.parquet",
        ["p=1", "p=1/bucket-0"],
    ),
    "Hudi table": (
        [".hoodie/hoodie.properties", "p=1/.hoodie_partition_metadata"],
        "p=1/1.parquet",
        ["p=1"],
    ),
    "Lance table": (["_versions/1.manifest", "_transactions/0-1.txn"], "data/1.lance", ["data"]),
    "Spark streaming output": (["_spark_metadata/0"], "p=1/part-0.parquet", ["p=1"]),
    "Delta table": (["_delta_log/00000000000000000000.json"], "p=1/part-0.parquet", ["p=1"]),
}


def made(tmp_path, kind):
    """Lay out a table of a kind, whose rows serve as images and as a list; and places in it."""
    metadata, data, inside = LAYOUTS[kind]
    for name in metadata:
        (tmp_path / "theirs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / name).write_text("v1\n")  # Connect reads what a stream wrote
    rows = image_rows(["a", "b"])
    write_parquet(rows.append_column("id", rows["image_id"]), tmp_path / "theirs" / data)
    root = [] if kind == "Delta table" else ["."]
    return [tmp_path / "theirs" / place for place in [*root, *inside, data]]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_g4_a_table_of_another_format_is_no_input(refused, images, listed, tmp_path, kind):
    dry = {"output": None, "dry_run": True}
    for place in made(tmp_path, kind):
        name = rf"theirs/?[^']*' (is an?|lies in the) {kind}"
        text = refused(TableFormatError, 3, f"image table '.*/{name}", place, listed, **dry)
        assert "rows that were deleted, replaced or never committed" in text
        assert ("Give the table itself" in text) == (kind == "Delta table")
        assert "ove it away" not in text
        refused(TableFormatError, 3, f"removal list '.*/{name}", images, place, **dry)
        dry_protected = {**dry, "protect_ids": (str(place),)}
        refused(TableFormatError, 3, f"to protect '.*/{name}", images, listed, **dry_protected)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_g4_a_directory_that_holds_such_a_table_is_none_itself(
    refused, images, listed, tmp_path, kind
):
    """No message leads into the table, or to a deletion of its metadata."""
    made(tmp_path / "lake", kind)
    lake, dry = tmp_path / "lake", {"output": None, "dry_run": True}
    overwrite = {"output": lake, "output_mode": "overwrite"}
    holds = rf"/lake' holds 'file:.*/lake/theirs/.*' of an? {kind}\. Only its"
    texts = [
        refused(TableFormatError, 3, f"image table '.*{holds}", lake, listed, **dry),
        refused(TableFormatError, 3, f"removal list '.*{holds}", images, lake, **dry),
        refused(
            TableFormatError,
            3,
            f"to protect '.*{holds}",
            images,
            listed,
            **dry,
            protect_ids=(str(lake),),
        ),
        refused(OutputExistsError, 5, f"output '.*{holds}", images, listed, **overwrite),
    ]
    for text in texts:
        assert "ove it away" not in text
        assert "give the directory" not in text


def test_g4_a_list_is_not_read_beside_metadata_in_its_partitions(refused, images, tmp_path):
    listed = write_list(tmp_path / "list/p=1/1.parquet", ["b"]).parent
    for name, kind in ((".hoodie_partition_metadata", "Hudi"), ("_spark_metadata/0", "Spark str")):
        (listed / name).parent.mkdir(exist_ok=True)
        (listed / name).write_text("v1\n")
        message = f"removal list '.*/list' holds '.*/list/p=1/{name.partition('/')[0]}' of a {kind}"
        dry = {"output": None, "dry_run": True}
        refused(TableFormatError, 3, message, images, tmp_path / "list", **dry)
        (listed / name).unlink()


def test_a_list_beside_a_table_of_another_format_is_read(remove, images, tmp_path):
    made(tmp_path / "lists", "Iceberg table")
    write_list(tmp_path / "lists/1.parquet", ["b"])
    assert remove(images, tmp_path / "lists", tmp_path / "out").counts["kept_rows"] == 3


def test_g4_a_list_to_keep_is_no_table_of_another_format(refused, images, listed, tmp_path):
    place = made(tmp_path, "Iceberg table")[1]
    settings = {"output": None, "dry_run": True, "list_kind": "keep"}
    refused(TableFormatError, 3, "lies in the Iceberg table", images, place, **settings)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_g5_a_table_of_another_format_is_not_written_to(refused, images, listed, tmp_path, kind):
    overwrite = {"output_mode": "overwrite"}
    for place in [*made(tmp_path, kind), tmp_path / "theirs" / "new"]:
        message = rf"output '.*/theirs.*' (is an?|lies in the) {kind}"
        text = refused(OutputExistsError, 5, message, images, listed, output=place, **overwrite)
        assert "Choose a location outside of it" in text
        refused(OutputExistsError, 5, message, images, listed, output=place)
        kept = {"removed_output": str(place), **overwrite}
        refused(OutputExistsError, 5, message, images, listed, **kept)


@pytest.mark.classic("a new Delta output is not compared: over Connect Delta needs no Python")
def test_g5_a_new_delta_table_is_not_made_in_another_table(refused, images, listed, tmp_path):
    place = made(tmp_path, "Iceberg table")[1] / "new"
    message = "lies in the Iceberg table"
    settings = {"output": place, "output_format": "delta"}
    refused(OutputExistsError, 5, message, images, listed, **settings)


def test_g5_no_work_is_done_and_no_metrics_are_kept_in_another_table(
    refused, remove, images, listed, tmp_path, caplog
):
    place = made(tmp_path, "Iceberg table")[1]
    message = "work location '.*/data/out' lies in the Iceberg table"
    refused(OutputExistsError, 5, message, images, listed, work_location=str(place))
    before = tree_digest(place)
    remove(images, listed, None, dry_run=True, metrics_output=str(place))
    assert tree_digest(place) == before
    assert "metrics output" in caplog.text
    assert "lies in the Iceberg table" in caplog.text


def test_g4_files_of_ducklake_and_hudi_are_known_in_partitions(refused, images, listed, tmp_path):
    dry = {"output": None, "dry_run": True}
    lake = tmp_path / "lake"
    rows = image_rows(["a", "b"])
    write_parquet(rows.append_column("id", rows["image_id"]), lake / "p=1" / DUCKLAKE)
    message = f"holds '.*/lake/p=1/{DUCKLAKE}' of a DuckLake table"
    refused(TableFormatError, 3, message, lake, listed, **dry)
    refused(TableFormatError, 3, message, images, lake, **dry)
    overwrite = {"output": lake, "output_mode": "overwrite"}
    refused(OutputExistsError, 5, message, images, listed, **overwrite)
    write_parquet(rows, tmp_path / "hudi/p=1/1.parquet")
    (tmp_path / "hudi/p=1/.hoodie_partition_metadata").write_text("commitTime=1")
    message = r"holds '.*/p=1/\.hoodie_partition_metadata' of a Hudi table"
    refused(TableFormatError, 3, message, tmp_path / "hudi", listed, **dry)


def test_what_lies_beside_directories_of_like_names_is_read_and_written(remove, tmp_path):
    for name in ("metadata/info.json", "snapshot/1", "manifest/1", "schema/x", "_versions/1.txt"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(json.dumps({}))
    images = write_parquet(image_rows(["a", "b"]), tmp_path / "project/data/1.parquet").parent
    listed = write_list(tmp_path / f"project/ids/ducklake-{UUID[:-1]}.parquet", ["b"]).parent
    report = remove(images, listed, tmp_path / "project/out")
    assert report.counts["kept_rows"] == 1


def test_names_are_found_in_directories_and_none_where_nothing_can_be_listed(spark, tmp_path):
    names = ["a%20b c.x", "ü.x", f"ducklake-{UUID}.parquet", "_delta_log", "other", "bucket-0"]
    for name in names:
        (tmp_path / "one" / name).mkdir(parents=True)
    (tmp_path / "file.x").write_text("x")
    (tmp_path / "gone.x").symlink_to(tmp_path / "nowhere")
    storage = open_storage(spark)
    places = [f"file:{tmp_path}/{name}" for name in ("one", "nothing", "file.x", ".")]
    patterns = ["*.x", "bucket-[0-9]", f"ducklake-{'[0-9a-f]' * 8}-*", "_delta_log", "file.x"]
    found = storage.find_names([*places, "file:/"], patterns)
    assert [sorted(some) for some in found[:3]] == [
        sorted(set(names) - {"other"}),
        [],
        ["file.x"],
    ]
    assert "file.x" in found[3]
    assert found[4] == []
