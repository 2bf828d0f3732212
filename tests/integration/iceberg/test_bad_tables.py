"""Iceberg tables that can't be read, or not as they are: refused before any work, with a reason."""

import logging
import uuid
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import (
    ColumnTypeError,
    InputChangedError,
    NoMatchesError,
    OutputExistsError,
    TableFormatError,
    TableNotFoundError,
    UnsupportedError,
)
from dedup_lib.iceberg.format import IcebergFormat
from dedup_lib.session.conf import session_settings
from tests.support.spark.settings import iceberg_catalog
from tests.support.tables.iceberg import V2, V3, iceberg_table, new_name, rows
from tests.support.tables.iceberg_java import add_java_column, delete_by_equality
from tests.support.tables.made import image_rows, tree_digest, write_parquet


@pytest.fixture
def dry(remove, listed):
    """Plan the removal of the listed IDs from a table."""
    return lambda images, lists=listed, **more: remove(images, lists, None, dry_run=True, **more)


def location_of(spark, name):
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").where("col_name = 'Location'")
    return described.collect()[0]["data_type"]


def data_files(spark, name):
    return [row[0] for row in spark.sql(f"SELECT file_path FROM {name}.data_files").collect()]


# What is no table that Spark can read


def test_a_catalog_that_is_not_there_is_told_with_those_that_are(spark, dry):
    for name in ("nocat.db.t", "nocat.db.t.branch_x"):
        with pytest.raises(
            TableNotFoundError, match=r"no catalog 'nocat', but .*\bice, spark_catalog"
        ):
            dry(name)
    with pytest.raises(TableNotFoundError, match="no catalog 'nocat'"):
        dry(iceberg_table(spark, 2), "nocat.db.t")


def test_a_missing_runtime_is_told_with_its_coordinates(spark, dry):
    """What Spark says of a class of Iceberg that no jar has, as where the whole jar is missing."""
    missing = "org.apache.iceberg.spark.NoSuchCatalog"
    with session_settings(spark, {"spark.sql.catalog.nojar": missing}):
        for name in ("nojar.db.t", "nojar.db.t.branch_x"):
            with pytest.raises(UnsupportedError, match="iceberg-spark-runtime") as caught:
                dry(name)
            assert missing in str(caught.value)
            assert caught.value.exit_code == 2


@pytest.mark.classic("py4j makes the columns")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("TimeType.get", "time"),
        ("TimestampNanoType.withoutZone", "timestamp_ns"),
        ("TimestampNanoType.withZone", "timestamptz_ns"),
        ("GeometryType.crs84", "geometry"),
    ],
)
def test_a_type_that_spark_lacks_is_told_with_its_column(spark, dry, listed, tmp_path, kind, said):
    name = iceberg_table(spark, 2)
    add_java_column(spark, name, "taken at", kind)
    images = write_parquet(image_rows(["i1"]), tmp_path / "images/1.parquet").parent
    for of_run in ((name, listed), (images, name))[: 2 if said == "time" else 1]:
        with pytest.raises(ColumnTypeError, match=f"'taken at' of type {said}") as caught:
            dry(*of_run)
        assert caught.value.exit_code == 3


@pytest.mark.classic("py4j makes the columns")
def test_types_that_hold_no_image_or_id_are_no_obstacle(spark, dry):
    name = iceberg_table(spark)
    add_java_column(spark, name, "nothing", "UnknownType.get")
    add_java_column(spark, name, "anything", "VariantType.get")
    assert dry(name).counts["removed_rows"] == 2


@pytest.mark.parametrize("column", ["_file", "_POS", "_deleted"])
def test_a_column_that_hides_icebergs_own_is_refused(spark, dry, column):
    name = new_name()
    spark.sql(f"CREATE TABLE {name} (image_id STRING, image BINARY, {column} INT) USING iceberg")
    with pytest.raises(UnsupportedError, match=rf"{column}\b.* Iceberg's own column"):
        dry(name)


def test_a_column_that_hides_sparks_file_metadata_is_no_obstacle(spark, remove, listed, tmp_path):
    name = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN shard TO _metadata")
    remove(name, listed, tmp_path / "out")
    written = spark.read.parquet(str(tmp_path / "out"))
    assert written.select("image_id", "_metadata").where("image_id = 'i4'").collect() == [("i4", 1)]
    assert written.count() == 38


# What goes away while a run reads it


@pytest.fixture
def once_pinned(monkeypatch):
    """Do something to an image table as soon as a run has pinned it."""

    def once_pinned(do):
        pin = IcebergFormat.pin

        def pin_and_do(*arguments):
            table = pin(*arguments)
            do()
            return table

        monkeypatch.setattr(IcebergFormat, "pin", pin_and_do)

    return once_pinned


def test_a_snapshot_that_expires_during_the_run_is_told(
    spark, remove, listed, once_pinned, tmp_path
):
    name = iceberg_table(spark)

    def expire():
        rows(spark, 40).writeTo(name).overwrite(F.lit(True))
        spark.sql(
            f"CALL ice.system.expire_snapshots(table => '{name.removeprefix('ice.')}', "
            "older_than => TIMESTAMP '2999-01-01 00:00:00')"
        ).collect()

    once_pinned(expire)
    with pytest.raises(InputChangedError, match=r"snapshot \d+ .* was removed .* Run again"):
        remove(name, listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_data_file_that_is_missing_is_named(spark, remove, listed, tmp_path):
    name = iceberg_table(spark)
    missing = data_files(spark, name)[0]
    Path(missing).unlink()
    with pytest.raises(InputChangedError, match=f"'{missing}' of an Iceberg table does not exist"):
        remove(name, listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Directories of Iceberg tables


def test_g4_g5_a_directory_of_an_iceberg_table_is_neither_read_nor_written(
    spark, remove, dry, listed, tmp_path
):
    name = iceberg_table(spark, 6, spec="PARTITIONED BY (shard)")
    root = location_of(spark, name)
    images = write_parquet(image_rows(["i1"]), tmp_path / "images/1.parquet").parent
    before = tree_digest(Path(root))
    for place in (root, f"{root}/data", f"{root}/data/shard=1", data_files(spark, name)[0]):
        for of_run in ((place, listed), (images, place)):
            with pytest.raises(TableFormatError, match="by its name in an Iceberg catalog"):
                dry(*of_run)
        if not place.endswith(".parquet"):
            with pytest.raises(OutputExistsError, match="Iceberg table"):
                remove(images, listed, place, output_mode="overwrite")
    assert tree_digest(Path(root)) == before


# IDs that are NULL


def test_ids_that_are_null_since_the_column_was_made_anew_are_told(spark, dry, caplog):
    name = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {name} DROP COLUMN image_id")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN image_id STRING FIRST")
    with pytest.raises(NoMatchesError, match=r"40 of 40 rows .* no ID .*dropped and added again"):
        dry(name)
    rows(spark, 30).writeTo(name).append()
    caplog.set_level(logging.WARNING)
    assert dry(name).counts["removed_rows"] == 2
    assert "40 of 70 rows of the image table have no ID" in caplog.text


def test_ids_of_added_files_that_spell_the_column_otherwise_are_told(spark, dry, tmp_path):
    files = tmp_path / "theirs"
    rows(spark, 40).withColumnRenamed("image_id", "IMAGE_ID").write.parquet(str(files))
    name = iceberg_table(spark, None)
    spark.sql(f"CALL ice.system.add_files('{name.removeprefix('ice.')}', '`parquet`.`{files}`')")
    with pytest.raises(NoMatchesError, match=r"add_files .* upper and lower case"):
        dry(name)


# What is read right


def by_position_deletes(spark, name):
    spark.sql(f"DELETE FROM {name} WHERE image_id IN ('i4', 'i17')")


def by_equality(spark, name):
    delete_by_equality(spark, name, "i4")
    delete_by_equality(spark, name, "i17")


def evolved(spark, name):
    by_position_deletes(spark, name)
    spark.sql(f"ALTER TABLE {name} ADD COLUMN more STRUCT<a: INT, b: STRING> AFTER image_id")
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN image TO picture")
    spark.sql(f"ALTER TABLE {name} ALTER COLUMN shard TYPE BIGINT")
    spark.sql(f"ALTER TABLE {name} ALTER COLUMN shard FIRST")
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN more.b TO c")
    spark.sql(f"INSERT INTO {name} VALUES (7, 'i90', struct(1, 'x'), X'00')")


def parted_anew(spark, name):
    spark.sql(f"ALTER TABLE {name} ADD PARTITION FIELD truncate(1, image_id)")
    rows(spark, 20, start=100).writeTo(name).append()
    by_position_deletes(spark, name)


def test_a_session_that_remembers_a_table_reads_what_others_committed(spark, dry):
    """By a second catalog of the same tables, with Iceberg's default: it caches them."""
    name = iceberg_table(spark)
    warehouse = location_of(spark, name).removesuffix("/" + name[len("ice.") :].replace(".", "/"))
    caching = iceberg_catalog(warehouse, catalog := f"ice_{uuid.uuid4().hex}")
    caching[f"spark.sql.catalog.{catalog}.cache-enabled"] = "true"
    with session_settings(spark, caching):
        remembered = name.replace("ice.", f"{catalog}.", 1)
        assert spark.table(remembered).count() == 40
        rows(spark, 10, start=100).writeTo(name).append()
        spark.sql(f"DELETE FROM {name} WHERE image_id = 'i3'")
        assert spark.table(remembered).count() == 40
        counts = dry(remembered).counts
        assert (counts["input_rows"], counts["removed_rows"]) == (49, 1)


@pytest.mark.classic("py4j makes one of the tables")
@pytest.mark.parametrize(
    ("properties", "spec", "change"),
    [
        (V2, "", by_position_deletes),
        (V3, "PARTITIONED BY (bucket(3, image_id))", by_position_deletes),
        (V2, "", by_equality),
        (V3, "", evolved),
        (V2, "PARTITIONED BY (shard)", parted_anew),
    ],
    ids=["v2", "v3-bucket", "equality", "evolved", "parted-anew"],
)
def test_what_spark_shows_less_what_is_listed_is_written(
    spark, remove, listed, tmp_path, properties, spec, change
):
    warehouse = tmp_path / "ware house#ü%41"
    with session_settings(
        spark, iceberg_catalog(str(warehouse), catalog := f"ice_{uuid.uuid4().hex}")
    ):
        name = f"{catalog}.db.t"
        spelled = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
        made = "(image_id STRING, image BINARY, shard INT) USING iceberg"
        spark.sql(f"CREATE TABLE {name} {made} {spec} TBLPROPERTIES ({spelled})")
        rows(spark, 40).writeTo(name).append()
        change(spark, name)
        shown = spark.table(name)
        expected = shown.where("image_id NOT IN ('i3', 'i17')")
        report = remove(name, listed, tmp_path / "out")
        written = spark.read.parquet(str(tmp_path / "out"))
        assert sorted(written.collect()) == sorted(expected.collect())
        assert written.schema.names == shown.schema.names
        assert report.counts["input_rows"] == shown.count()
        assert report.counts["removed_rows"] == 1
