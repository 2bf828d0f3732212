"""Clones: the kept rows of a table as a Delta table of its own, without a copy of an image."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyspark
import pytest
from pyspark.sql import functions as F

from dedup_lib.delta import clone, delete
from dedup_lib.errors import (
    InputChangedError,
    OutputExistsError,
    RunKeyError,
    UnsupportedError,
    VerificationError,
)
from dedup_lib.session import storage
from dedup_lib.session.conf import session_settings
from tests.support.faults.in_process import StoppedError, stop_at
from tests.support.tables.made import (
    add_unknown_feature,
    delta_table,
    files_with_rows,
    image_rows,
    names_in,
    row_digests,
    tree_digest,
    write_list,
    write_parquet,
)

CLONES_PARQUET = pytest.mark.skipif(
    pyspark.__version__ == "4.0.0",
    reason="Delta 4.0.1, which is for Spark 4.0.1, clones no Parquet there: NoSuchMethodError",
)

IDS = [f"id-{n}" for n in range(40)]
LISTED = ["id-3", "id-20", "id-39", "of no image", None]


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write_list(tmp_path_factory.mktemp("list") / "1.parquet", LISTED)


@pytest.fixture
def parquet_images(tmp_path):
    folder = tmp_path / "in/images"
    for part in range(2):
        write_parquet(image_rows(IDS).slice(part * 20, 20), folder / f"{part}.parquet")
    return folder


@pytest.fixture
def delta_images(spark, parquet_images, tmp_path):
    return delta_table(spark.read.parquet(str(parquet_images)), tmp_path / "in/delta")


def kept(frame):
    return row_digests(
        frame.where("image_id IS NULL OR image_id NOT IN ('id-3', 'id-20', 'id-39')")
    )


@pytest.mark.usefixtures("as_shipped")
@pytest.mark.classic("there a clone is published by a clone of it")
def test_a_clone_of_a_delta_table_holds_the_kept_rows_and_no_image(
    spark, remove, delta_images, listed, tmp_path
):
    before = tree_digest(delta_images)
    report = remove(delta_images, listed, tmp_path / "out", method="clone")
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert row_digests(output) == kept(spark.read.format("delta").load(str(delta_images)))
    assert files_with_rows(tmp_path / "out") == []
    assert tree_digest(delta_images) == before
    assert names_in(tmp_path) == ["in", "out"]
    assert (report.method, report.engine, report.strategy) == ("clone", None, None)
    assert (report.counts["kept_rows"], report.counts["removed_rows"]) == (37, 3)
    assert report.bytes["output"] == 0
    assert report.output == {
        "location": f"file:{tmp_path}/out",
        "format": "delta",
        "version": 1,
        "deletion_vectors": 1,
        "num_rows": 37,
    }
    for row in spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path}/out`").collect():
        assert json.loads(row["userMetadata"])["counts"]["removed_rows"] == 3


def test_g15_a_clone_takes_the_version_that_the_plan_saw(
    spark, remove, delta_images, listed, tmp_path, monkeypatch
):
    cloned = clone.clone

    def append_first(*args, **kwargs):
        late = spark.read.format("delta").load(str(delta_images)).limit(5)
        late.write.format("delta").mode("append").save(str(delta_images))
        return cloned(*args, **kwargs)

    monkeypatch.setattr(clone, "clone", append_first)
    report = remove(delta_images, listed, tmp_path / "out", method="clone")
    assert report.counts["kept_rows"] == 37
    assert spark.read.format("delta").load(str(tmp_path / "out")).count() == 37


@CLONES_PARQUET
def test_a_clone_of_a_parquet_directory_refers_to_its_files(
    spark, remove, parquet_images, listed, tmp_path
):
    before = tree_digest(parquet_images)
    remove(parquet_images, listed, tmp_path / "out", method="clone")
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert row_digests(output) == kept(spark.read.parquet(str(parquet_images)))
    assert files_with_rows(tmp_path / "out") == []
    assert tree_digest(parquet_images) == before


@CLONES_PARQUET
def test_a_clone_of_a_partitioned_parquet_directory_keeps_its_values(
    spark, remove, listed, tmp_path
):
    images = tmp_path / "images"
    directories = ["part=007", "part=a%2Fb", "part=__HIVE_DEFAULT_PARTITION__"]
    for part, directory in enumerate(directories):
        write_parquet(image_rows(IDS).slice(part * 14, 14), images / directory / "1.parquet")
    before, tables = tree_digest(images), spark.catalog.listTables()
    remove(images, listed, tmp_path / "out", method="clone")
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    counts = {row["part"]: row["count"] for row in output.groupBy("part").count().collect()}
    assert counts == {"007": 13, "a/b": 13, None: 11}
    assert row_digests(output.drop("part")) == kept(spark.createDataFrame(image_rows(IDS)))
    assert tree_digest(images) == before
    assert spark.catalog.listTables() == tables


@pytest.fixture
def table_name(spark):
    yield "cloned_images"
    spark.sql("DROP TABLE IF EXISTS cloned_images")


def companions(root):
    return [path for path in root.parent.iterdir() if path.name.startswith(f".{root.name}.dedup")]


def test_a_clone_into_the_catalog_has_no_version_with_duplicates(
    spark, remove, delta_images, listed, table_name
):
    report = remove(delta_images, listed, table_name, method="clone")
    history = spark.sql(f"DESCRIBE HISTORY {table_name}").collect()
    assert [row["operation"] for row in history] == ["CLONE"]
    assert row_digests(spark.table(table_name)) == kept(
        spark.read.format("delta").load(str(delta_images))
    )
    root = Path(spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:")) / table_name
    (companion,) = companions(root)
    assert report.output["companion"] == f"file:{companion}/output"
    assert files_with_rows(root) == files_with_rows(companion) == []
    shutil.rmtree(companion)


def test_a_clone_where_no_rename_is_atomic_is_one_commit(
    spark, remove, delta_images, listed, tmp_path, monkeypatch
):
    monkeypatch.setattr(storage, "ATOMIC_RENAME_SCHEMES", frozenset())
    report = remove(delta_images, listed, tmp_path / "out", method="clone")
    assert report.output["version"] == 0
    first = spark.read.format("delta").option("versionAsOf", 0).load(str(tmp_path / "out"))
    assert row_digests(first) == kept(spark.read.format("delta").load(str(delta_images)))
    (companion,) = companions(tmp_path / "out")
    assert report.output["companion"] == f"file:{companion}/output"


@pytest.mark.parametrize(("phase", "by_name"), [("apply", True), ("verify", False)])
def test_g6_a_clone_that_fails_leaves_nothing_and_the_retry_converges(
    spark, remove, delta_images, listed, table_name, tmp_path, monkeypatch, phase, by_name
):
    output = table_name if by_name else tmp_path / "out"
    root = Path(spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:")) / table_name
    with monkeypatch.context() as patch:
        stop_at(patch, phase)
        with pytest.raises(StoppedError):
            remove(delta_images, listed, output, method="clone")
    assert names_in(tmp_path) == ["in"]
    assert not spark.catalog.tableExists(table_name)
    assert companions(root) == []
    report = remove(delta_images, listed, output, method="clone")
    assert report.counts["kept_rows"] == 37
    for companion in companions(root):
        shutil.rmtree(companion)


def test_g10_a_clone_that_lost_other_rows_than_planned_is_not_published(
    spark, remove, delta_images, listed, tmp_path, monkeypatch
):
    delete_ids = delete.delete_ids

    def delete_fewer(spark, location, column, ids, **options):
        return delete_ids(spark, location, column, ids.limit(1), **options)

    monkeypatch.setattr(delete, "delete_ids", delete_fewer)
    with pytest.raises(VerificationError, match="comes to 37 rows, but 39"):
        remove(delta_images, listed, tmp_path / "out", method="clone")
    assert names_in(tmp_path) == ["in"]


@CLONES_PARQUET
@pytest.mark.parametrize("source", ["delta_images", "parquet_images"])
def test_g10_a_clone_that_lost_as_many_other_rows_is_not_published(
    remove, listed, tmp_path, monkeypatch, source, request
):
    images = request.getfixturevalue(source)
    delete_ids = delete.delete_ids

    def delete_others(spark, location, column, ids, **options):
        others = ids.select(F.regexp_replace("image_id", "^id-3$", "id-5").alias("image_id"))
        return delete_ids(spark, location, column, others, **options)

    monkeypatch.setattr(delete, "delete_ids", delete_others)
    with pytest.raises(VerificationError, match="other IDs than the plan's"):
        remove(images, listed, tmp_path / "out", method="clone")
    assert names_in(tmp_path) == ["in"]


@CLONES_PARQUET
def test_g8_parquet_files_that_change_while_they_are_cloned_are_noticed(
    remove, parquet_images, listed, tmp_path, monkeypatch
):
    cloned = clone.clone

    def add_first(*args, **kwargs):
        write_parquet(image_rows(["late"]), parquet_images / "2.parquet")
        return cloned(*args, **kwargs)

    monkeypatch.setattr(clone, "clone", add_first)
    with pytest.raises(InputChangedError, match="other files"):
        remove(parquet_images, listed, tmp_path / "out", method="clone")
    assert names_in(tmp_path) == ["in"]


def test_an_output_that_exists_is_not_touched(remove, delta_images, listed, tmp_path):
    write_parquet(image_rows(["old"]), tmp_path / "out/1.parquet")
    before = tree_digest(tmp_path / "out")
    with pytest.raises(OutputExistsError, match=r"exists\. Choose another location"):
        remove(delta_images, listed, tmp_path / "out", method="clone")
    assert tree_digest(tmp_path / "out") == before


def test_a_companion_is_kept_wherever_the_catalog_puts_the_table(
    spark, remove, delta_images, listed
):
    """The place of a new table is a guess before it is made: here the name keeps its case."""
    warehouse = Path(spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:"))
    with session_settings(spark, {"spark.sql.caseSensitive": "true"}):
        try:
            report = remove(delta_images, listed, "ClonedImages", method="clone")
            assert (warehouse / "ClonedImages").exists()
            assert spark.table("ClonedImages").select("image").distinct().count() == 37
        finally:
            spark.sql("DROP TABLE IF EXISTS ClonedImages")
    shutil.rmtree(Path(report.output["companion"].removeprefix("file:")).parent)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("one.parquet", "is one file"),
        ("a[b]/1.parquet", "a pattern"),
        ("a b/part=1/1.parquet", "URIs escape"),
    ],
)
def test_parquet_that_delta_can_not_clone_is_refused_before_any_work(
    remove, listed, tmp_path, path, words
):
    file = write_parquet(image_rows(IDS), tmp_path / path)
    images = file if path.startswith("one") else tmp_path / path.partition("/")[0]
    with pytest.raises(UnsupportedError, match=words):
        remove(images, listed, tmp_path / "out", method="clone")
    assert not (tmp_path / "out").exists()


@CLONES_PARQUET
def test_column_names_that_delta_does_not_take_are_refused(remove, listed, tmp_path):
    rows = image_rows(IDS).append_column("a b", pa.array(IDS))
    write_parquet(rows, tmp_path / "images/1.parquet")
    with pytest.raises(UnsupportedError, match="INVALID_CHARACTERS"):
        remove(tmp_path / "images", listed, tmp_path / "out", method="clone")
    assert names_in(tmp_path) == ["images"]


def test_an_append_only_source_is_refused(spark, remove, delta_images, listed, tmp_path):
    spark.sql(f"ALTER TABLE delta.`{delta_images}` SET TBLPROPERTIES ('delta.appendOnly' = 'true')")
    with pytest.raises(UnsupportedError, match="append-only"):
        remove(delta_images, listed, tmp_path / "out", method="clone")
    assert names_in(tmp_path) == ["in"]


@pytest.mark.parametrize("settings", [{"method": "clone"}, {"method": "clone", "dry_run": True}])
def test_a_source_with_a_feature_that_delta_can_not_write_is_refused_before_any_work(
    spark, remove, delta_images, listed, tmp_path, settings
):
    add_unknown_feature(spark, delta_images, "featureOfTomorrow")
    with pytest.raises(UnsupportedError, match="featureOfTomorrow"):
        remove(delta_images, listed, tmp_path / "out", **settings)
    assert names_in(tmp_path) == ["in"]


@pytest.mark.classic("there a clone is published by a clone of it")
def test_a_purged_clone_holds_files_of_its_own_without_the_removed_rows(
    spark, remove, delta_images, listed, tmp_path
):
    before = tree_digest(delta_images)
    report = remove(delta_images, listed, tmp_path / "out", method="clone", purge=True)
    files = files_with_rows(tmp_path / "out")
    assert files
    ids = spark.read.parquet(*map(str, files)).select("image_id").collect()
    assert len(ids) == 37
    assert not {row["image_id"] for row in ids} & set(LISTED)
    assert report.bytes["output"] == sum(path.stat().st_size for path in files)
    assert report.purge["removed_files"] == 1
    assert report.purge["vacuum"] is None  # the source's files are not the clone's to delete
    assert tree_digest(delta_images) == before


def test_a_run_key_is_found_in_a_clone(remove, delta_images, listed, tmp_path):
    settings = {"method": "clone", "run_key": "monday"}
    first = remove(delta_images, listed, tmp_path / "out", **settings)
    before = tree_digest(tmp_path / "out")
    again = remove(delta_images, listed, tmp_path / "out", **settings)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.status == "succeeded"
    with pytest.raises(RunKeyError, match="other settings"):
        remove(delta_images, listed, tmp_path / "out", purge=True, **settings)
    assert again.counts["kept_rows"] == 37
    assert tree_digest(tmp_path / "out") == before
