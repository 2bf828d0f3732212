"""Iceberg tables in a catalog that is a database, with the settings that we ship."""

import contextlib
import sqlite3

import pytest

from tests.support.jars.sqlite_jar import sqlite_jar
from tests.support.paths import BIN, ROOT
from tests.support.processes.runs import QUICK, conf_flags, report_of, run
from tests.support.tables.iceberg import head, iceberg_table

JOB = ROOT / "jobs/remove_duplicates.py"
pytestmark = pytest.mark.classic("it starts a process of its own")


@pytest.fixture
def registered(spark, tmp_path):
    """A table, as SQLite's catalog has it: registered(name) enters one of the suite's catalog."""

    def registered(name):
        newest = "SELECT file FROM {}.metadata_log_entries ORDER BY timestamp DESC LIMIT 1"
        metadata = spark.sql(newest.format(name)).collect()[0][0]
        with contextlib.closing(sqlite3.connect(tmp_path / "catalog.db")) as database, database:
            database.execute(
                "CREATE TABLE iceberg_tables (catalog_name, table_namespace, table_name, "
                "metadata_location, previous_metadata_location)"
            )
            row = ("lake", "db", "images", metadata, None)
            database.execute("INSERT INTO iceberg_tables VALUES (?, ?, ?, ?, ?)", row)
        return "lake.db.images"

    return registered


def test_a_jdbc_catalog_with_the_settings_that_we_ship(spark, listed, tmp_path, registered):
    name = iceberg_table(spark)
    spark.sql(f"ALTER TABLE {name} CREATE TAG monday")
    spark.sql(f"DELETE FROM {name} WHERE image_id = 'i5'")
    expected = spark.table(name).where("image_id NOT IN ('i3', 'i17')").collect()
    settings = {
        "spark.driver.extraClassPath": str(sqlite_jar()),
        "spark.sql.catalog.lake.type": "jdbc",
        "spark.sql.catalog.lake.uri": f"jdbc:sqlite:{tmp_path}/catalog.db",
        "spark.sql.catalog.lake.warehouse": (tmp_path / "warehouse").as_uri(),
    }
    conf = ROOT / "conf/spark/iceberg.conf"
    submit = [BIN / "spark-submit", "--master", "local[2]", "--properties-file", conf, *QUICK]
    flags = ["--images", registered(name), "--duplicate-ids", listed, "--output", "./out"]
    result = run([*submit, *conf_flags(settings), JOB, *flags], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    images = report_of(result)["inputs"]["images"]
    assert (images["format"], images["version"]) == ("iceberg", head(spark, name))
    assert sorted(spark.read.parquet(str(tmp_path / "out")).collect()) == sorted(expected)
