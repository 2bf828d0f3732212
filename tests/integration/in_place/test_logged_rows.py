"""Delta deletes by its log: where that says another number of rows than is read, a run stops."""

import json
import logging
import shutil

import pytest
from pyspark import SparkContext  # noqa: TID251  # its JVM, also that of Connect's server
from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from dedup_lib.delta import logged_rows
from dedup_lib.delta.logged_rows import check_logged_rows
from dedup_lib.errors import TableFormatError
from dedup_lib.plan import id_scan
from dedup_lib.session.conf import session_settings
from tests.support.tables.made import delta_table, tree_digest, write_list
from tests.support.tables.pinned import pinned_images

NOT_BY_FILE = "can't be compared file by file"


def id_rows(spark, first, last):
    return spark.range(first, last).select(
        F.format_string("id-%02d", "id").alias("image_id"), F.lit(b"\xff\xd8").alias("image")
    )


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """100 rows in one file, of which 40 are deleted, and 10 in another."""
    path = tmp_path_factory.mktemp("made") / "images"
    delta_table(id_rows(spark, 0, 100), path, enableDeletionVectors="true")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE image_id < 'id-40'")
    id_rows(spark, 100, 110).coalesce(1).write.format("delta").mode("append").save(str(path))
    return path


@pytest.fixture
def images(made, tmp_path):
    return shutil.copytree(made, tmp_path / "images")


@pytest.fixture
def listed(tmp_path):
    return write_list(tmp_path / "list.parquet", [f"id-{n}" for n in range(40, 60)])


def log_visible_rows_alone(table, version=1):
    """Let a commit say of its file how many rows are left of it, as older Trino's ANALYZE does."""
    commit = table / f"_delta_log/{version:020d}.json"
    lines = [json.loads(line) for line in commit.read_text().splitlines()]
    (add,) = (line["add"] for line in lines if "add" in line)
    stats = json.loads(add["stats"])
    stats["numRecords"] -= add["deletionVector"]["cardinality"]
    add["stats"] = json.dumps(stats)
    commit.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for checksum in table.glob(f"_delta_log/*{version:020d}*crc"):
        checksum.unlink()
    SparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    return add["path"]


@pytest.mark.parametrize(("method", "dry_run"), [("in-place", False), ("clone", True)])
def test_g10_a_log_that_counts_visible_rows_alone_stops_a_run_before_it_deletes(
    remove, images, listed, tmp_path, method, dry_run
):
    """Else the file would go as a whole: 20 + 40 deleted rows are the 60 that it has by the log."""
    path = log_visible_rows_alone(images)
    before = tree_digest(tmp_path)
    output = tmp_path / "out" if method == "clone" else None
    message = rf"{path}' has 60 rows when it is read, but Delta's log says 20 .* in version 2\)\. "
    with pytest.raises(TableFormatError, match=message) as refused:
        remove(images, listed, output, method=method, dry_run=dry_run)
    assert refused.value.exit_code == 3
    assert "--method rewrite" in str(refused.value)
    assert tree_digest(tmp_path) == before


def test_what_the_refusal_advises_helps(spark, remove, images, listed, tmp_path):
    log_visible_rows_alone(images)
    assert remove(images, listed, tmp_path / "out").counts["kept_rows"] == 50
    spark.sql(f"REORG TABLE delta.`{images}` APPLY (PURGE)")
    report = remove(images, listed, None, method="in-place")
    assert report.counts["kept_rows"] == 50
    rows = spark.read.format("delta").load(str(images))
    assert rows.where("image_id BETWEEN 'id-40' AND 'id-59'").isEmpty()
    assert rows.count() == 50


def test_a_plan_that_was_kept_is_not_applied_by_such_a_log(remove, images, listed, tmp_path):
    remove(images, listed, None, dry_run=True, removed_output=str(tmp_path / "plan"))
    log_visible_rows_alone(images)
    before = tree_digest(tmp_path)
    with pytest.raises(TableFormatError, match="has 60 rows"):
        remove(images, [], None, method="in-place", apply_plan=str(tmp_path / "plan"))
    assert tree_digest(tmp_path) == before


@pytest.mark.parametrize("is_wrong", [False, True])
def test_where_the_log_can_t_be_read_as_files_its_sum_is_compared(
    spark, remove, images, listed, monkeypatch, caplog, is_wrong
):
    """As where a catalog governs access: the log is Delta's alone."""

    def refused(*_):
        raise AnalysisException("[PERMISSION_DENIED] none of your business")

    monkeypatch.setattr(logged_rows, "read_file_actions", refused)
    if is_wrong:
        log_visible_rows_alone(images)
        with pytest.raises(TableFormatError, match=r"the table has 70 rows .* log says 30 "):
            remove(images, listed, None, method="in-place")
    else:
        assert remove(images, listed, None, method="in-place").counts["kept_rows"] == 50
    assert (
        f"{NOT_BY_FILE}; only the sum of its rows is compared: [PERMISSION_DENIED]" in caplog.text
    )


def test_a_file_without_statistics_is_not_compared(spark, remove, images, listed, caplog):
    with session_settings(spark, {"spark.databricks.delta.stats.collect": "false"}):
        id_rows(spark, 110, 120).coalesce(1).write.format("delta").mode("append").save(str(images))
    assert remove(images, listed, None, method="in-place", dry_run=True).counts["kept_rows"] == 60
    assert NOT_BY_FILE not in caplog.text
    log_visible_rows_alone(images)
    with pytest.raises(TableFormatError, match=r"has 60 rows .* says 20 "):
        remove(images, listed, None, method="in-place")


# Logs of every kind: what they say of each file is found, and compared.

CHECKPOINTS = "delta.checkpointInterval=4"
STATS = "delta.checkpoint.writeStatsAsJson"
KINDS = {
    "commits": ("", {}),
    "a checkpoint": (CHECKPOINTS, {}),
    "statistics as a struct": (
        f"{CHECKPOINTS},{STATS}=false,{STATS.replace('Json', 'Struct')}=true",
        {},
    ),
    "a checkpoint in parts": (CHECKPOINTS, {"spark.databricks.delta.checkpoint.partSize": "2"}),
    "v2, in Parquet": (
        f"{CHECKPOINTS},delta.checkpointPolicy=v2",
        {"spark.databricks.delta.checkpointV2.topLevelFileFormat": "parquet"},
    ),
    "v2, in JSON": (
        f"{CHECKPOINTS},delta.checkpointPolicy=v2",
        {"spark.databricks.delta.checkpointV2.topLevelFileFormat": "json"},
    ),
    "column mapping": (f"{CHECKPOINTS},delta.columnMapping.mode=name", {}),
}


def make_table(spark, table, location, properties):
    """Three files in two partitions; of each kind of action some, before a checkpoint and after."""
    given = dict(item.split("=") for item in properties.split(",") if item)
    given["delta.enableDeletionVectors"] = "true"
    listed = ", ".join(f"'{name}' = '{value}'" for name, value in given.items())
    spark.sql(
        f"CREATE TABLE {table} (image_id STRING, image BINARY, kind STRING) USING delta "
        f"PARTITIONED BY (kind) {location} TBLPROPERTIES ({listed})"
    )

    def insert(first, last):
        rows = id_rows(spark, first, last).coalesce(1)
        kind = F.when(F.col("image_id").substr(4, 1) < "2", "a").otherwise("b/c:d %41+é#?")
        rows.withColumn("kind", kind).createOrReplaceTempView("new_rows")
        spark.sql(f"INSERT INTO {table} SELECT image_id, image, kind FROM new_rows")

    insert(0, 40)
    spark.sql(f"DELETE FROM {table} WHERE image_id < 'id-03'")
    spark.sql(f"DELETE FROM {table} WHERE image_id BETWEEN 'id-01' AND 'id-05'")  # again
    insert(40, 60)  # version 4: a checkpoint, where these are made
    spark.sql(f"DELETE FROM {table} WHERE image_id BETWEEN 'id-20' AND 'id-39'")  # a whole file
    insert(10, 12)


def check_compares(spark, location, caplog):
    """Check that a log is found right, and wrong in all files where these have a row more."""
    images = pinned_images(spark, location)
    counted = id_scan.rows_by_file(images).localCheckpoint()
    assert counted.count() == 3
    check_logged_rows(images, counted)
    with pytest.raises(TableFormatError, match="; 2 other files also differ"):
        check_logged_rows(images, counted.withColumn("num_rows", F.col("num_rows") + 1))
    assert NOT_BY_FILE not in caplog.text
    return images, counted


@pytest.mark.parametrize("kind", KINDS)
def test_logs_of_every_kind_are_compared_file_by_file(spark, tmp_path, caplog, kind):
    properties, settings = KINDS[kind]
    path = tmp_path / "im ages%20+é#"
    with session_settings(spark, settings):
        make_table(spark, f"delta.`{path}`", "", properties)
    checkpoints = {item.name for item in (path / "_delta_log").glob("0*.checkpoint*")}
    assert bool(checkpoints) == bool(properties)
    assert (path / "_delta_log/_sidecars").exists() == ("v2" in kind)
    check_compares(spark, path, caplog)


def test_a_log_whose_old_commits_are_gone_is_compared(spark, tmp_path, caplog):
    path = tmp_path / "images"
    make_table(spark, f"delta.`{path}`", "", CHECKPOINTS)
    for version in range(5):
        (path / f"_delta_log/{version:020d}.json").unlink()
    check_compares(spark, path, caplog)


def test_tables_by_name_and_clones_are_compared(spark, name, tmp_path, caplog):
    """Through a link: Delta spells files by the place that its catalog names."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make_table(spark, name, f"LOCATION '{tmp_path}/link/im ages'", "")
    check_compares(spark, name, caplog)
    clone = tmp_path / "clone"
    spark.sql(f"CREATE TABLE delta.`{clone}` SHALLOW CLONE {name}")
    check_compares(spark, clone, caplog)


def test_a_pinned_version_is_compared_with_the_log_up_to_it(spark, tmp_path, caplog):
    """Other writers' commits and checkpoints that came since are no matter."""
    path = tmp_path / "images"
    make_table(spark, f"delta.`{path}`", "", CHECKPOINTS)
    pinned, counted = check_compares(spark, path, caplog)
    for number in (50, 51):
        spark.sql(f"DELETE FROM delta.`{path}` WHERE image_id = 'id-{number}'")
    assert (path / f"_delta_log/{8:020d}.checkpoint.parquet").exists()
    check_logged_rows(pinned, counted)
    assert NOT_BY_FILE not in caplog.text


def test_a_file_of_the_log_that_was_not_read_is_named(spark, images):
    pinned = pinned_images(spark, images)
    counted = id_scan.rows_by_file(pinned)
    with pytest.raises(TableFormatError, match=r"\.parquet' has 0 rows .* log says 60 "):
        check_logged_rows(pinned, counted.where("num_rows != 60"))


def test_a_log_that_spells_files_in_unknown_ways_is_compared_by_its_sum(
    spark, images, monkeypatch, caplog
):
    pinned = pinned_images(spark, images)
    counted = id_scan.rows_by_file(pinned)
    monkeypatch.setattr(logged_rows, "_location", lambda path, _: F.lower(path))
    with caplog.at_level(logging.WARNING):
        check_logged_rows(pinned, counted)
    assert "it does not name 2 of the files that were read" in caplog.text


@pytest.mark.parametrize("method", ["rewrite", "clone", "in-place"])
def test_a_file_that_the_log_has_twice_is_refused(spark, remove, images, listed, tmp_path, method):
    """With two deletion vectors: its rows would be read twice, and deleted ones come back."""
    spark.sql(f"DELETE FROM delta.`{images}` WHERE image_id = 'id-99'")
    of_first = images / f"_delta_log/{1:020d}.json"
    (add,) = (line for line in of_first.read_text().splitlines() if '"add"' in line)
    version = len(list(images.glob("_delta_log/*.json")))
    (images / f"_delta_log/{version:020d}.json").write_text(f"{add}\n")
    SparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    before = tree_digest(tmp_path)
    output = None if method == "in-place" else tmp_path / "out"
    settings = {"output_format": "delta"} if method == "rewrite" else {"method": method}
    with pytest.raises(TableFormatError, match=r"file 'part-.*' 2 times") as refused:
        remove(images, listed, output, **settings)
    assert refused.value.exit_code == 3
    assert tree_digest(tmp_path) == before


def test_a_file_whose_rows_are_all_deleted_is_not_there_twice(spark, remove, images, tmp_path):
    """The table has more files than a scan finds; a writer may leave such a file."""
    with session_settings(spark, {"spark.databricks.delta.stats.collect": "false"}):
        id_rows(spark, 110, 120).coalesce(1).write.format("delta").mode("append").save(str(images))
    spark.sql(f"DELETE FROM delta.`{images}` WHERE image_id LIKE 'id-1%'")
    num_files = spark.sql(f"DESCRIBE DETAIL delta.`{images}`").select("numFiles").collect()[0][0]
    scanned = spark.read.format("delta").load(str(images)).select("_metadata.file_path").distinct()
    assert num_files > scanned.count() == 1
    listed = write_list(tmp_path / "list.parquet", ["id-40"])
    report = remove(images, listed, tmp_path / "out", output_format="delta")
    assert report.counts["kept_rows"] == 59
