"""Iceberg tables in other catalogs than one of directories."""

import uuid

import pytest
from pyspark.sql import functions as F

from dedup_lib.errors import TableNotFoundError
from dedup_lib.iceberg.purge import purge_table
from dedup_lib.session.conf import session_settings
from tests.support.tables.iceberg import V3, head, rows


@pytest.fixture
def derby(spark, tmp_path):
    """A JDBC catalog, whose tables are rows of an embedded Derby, which Spark has among its jars."""
    name = f"jdbc_{uuid.uuid4().hex[:8]}"
    catalog = f"spark.sql.catalog.{name}"
    settings = {
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "jdbc",
        f"{catalog}.uri": f"jdbc:derby:{tmp_path}/derby;create=true",
        f"{catalog}.warehouse": (tmp_path / "warehouse").as_uri(),
        f"{catalog}.cache-enabled": "false",
    }
    with session_settings(spark, settings):
        spark.sql(f"CREATE NAMESPACE {name}.db")
        yield name


def test_a_jdbc_catalog_is_one_like_others(spark, remove, listed, tmp_path, derby):
    name = f"{derby}.db.images"
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in V3.items())
    spark.sql(
        f"CREATE TABLE {name} (image_id STRING, image BINARY, shard INT) USING iceberg "
        f"TBLPROPERTIES ({properties})"
    )
    rows(spark, 40).writeTo(name).append()
    spark.sql(f"ALTER TABLE {name} CREATE TAG monday")
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'")
    expected = spark.table(name).where("image_id NOT IN ('i3', 'i17')")
    report = remove(name, listed, tmp_path / "out")
    written = spark.read.parquet(str(tmp_path / "out"))
    assert sorted(written.collect()) == sorted(expected.collect())
    assert report.inputs["images"]["format"] == "iceberg"
    assert report.inputs["images"]["version"] == head(spark, name)
    assert remove(f"{name}.tag_monday", listed, None, dry_run=True).counts["input_rows"] == 40
    assert purge_table(spark, name, "image_id").vacuum.startswith(f"CALL `{derby}`.system.")
    assert spark.table(name).where(F.col("image_id") == "i5").count() == 0
    with pytest.raises(TableNotFoundError, match="nothing"):
        remove(f"{derby}.db.nothing", listed, None, dry_run=True)
