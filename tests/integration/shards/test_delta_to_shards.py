"""Delta tables become shards: each sample has the bytes and values that Delta's reader shows."""

import datetime as dt
import decimal
import json
import math

import pytest
from pyspark.sql import Row

from dedup_lib.delta import data_files, physical_names
from dedup_lib.errors import ColumnTypeError, UnsupportedError
from dedup_lib.session.conf import session_settings
from tests.integration.shards.conftest import members_of
from tests.integration.shards.test_annotate import marks_in
from tests.support.tables.made import write_list

ROWS = (
    "CREATE TABLE delta.`{}` USING delta {} AS SELECT /*+ COALESCE(1) */ "
    "concat('i', lpad(id, 2, '0')) image_id, "
    "unhex(concat('ffd8ff', hex(repeat('x', cast(id as int))))) image, {} FROM range(10)"
)


@pytest.fixture(autouse=True)
def reads_field_ids(spark):
    """Delta needs it for tables that are mapped by ID, also outside the job."""
    with session_settings(spark, {"spark.sql.parquet.fieldId.read.enabled": "true"}):
        yield


@pytest.fixture
def made(spark, tmp_path):
    """Make a Delta table of ten rows: made(columns, clauses) returns its path."""

    def made(columns, clauses="", name="images"):
        path = tmp_path / name
        spark.sql(ROWS.format(path, clauses, columns)).collect()
        return path

    return made


@pytest.fixture
def alter(spark):
    """Run statements on a table, whose name is {0}."""

    def alter(path, *statements):
        for statement in statements:
            spark.sql(statement.format(f"delta.`{path}`")).collect()

    return alter


@pytest.fixture
def listed(tmp_path):
    """A removal list that names i02 and i05."""
    return write_list(tmp_path / "list/1.parquet", ["i02", "i05"]).parent


def as_json(value):
    """A value that Spark's reader gave, as the documentation says that JSON has it."""
    if isinstance(value, Row):
        return {name: as_json(one) for name, one in value.asDict().items()}
    if isinstance(value, dict):
        return {key: as_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_json(one) for one in value]
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)]
    return value.isoformat() if isinstance(value, dt.date) else value


def shown(spark, path, *, version=None, without=("i02", "i05")):
    """The samples that Delta's reader shows, by ID. Times are asked for as text, with their `T`."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    frame = reader.load(str(path))
    for name, of in frame.dtypes:
        if of.startswith("timestamp"):
            frame = frame.withColumn(name, frame[name].cast("string"))
    rows = (row.asDict() for row in frame.collect())
    return {
        row["image_id"]: (
            row.pop("image"),
            {name: as_json(value) for name, value in row.items()},
        )
        for row in rows
        if row["image_id"] not in without
    }


def samples(output):
    """The samples of all shards, by ID: the picture and what the JSON says."""
    members = [one for shard in sorted(output.glob("*.tar")) for one in members_of(shard)]
    pictures = {name[:-4]: data for name, data in members if name.endswith(".jpg")}
    facts = [json.loads(data) for name, data in members if name.endswith(".json")]
    assert len(members) == len(pictures) + len(facts)
    return {one["image_id"]: (pictures.get(one["image_id"]), one) for one in facts}


NESTED = (
    "named_struct('a', id, 'b', if(id % 2 = 0, null, 'é')) s, array(named_struct('q', id), null) l,"
    " map('k', named_struct('q', id)) m, cast(id as int) w, cast(id / 4 as float) f, 'x' gone"
)


def test_renamed_dropped_and_new_columns_and_hidden_rows(
    spark, remove_from, made, alter, listed, tmp_path
):
    """Rows that a deletion vector hides stay away, also those that the list names."""
    properties = (
        "TBLPROPERTIES ('delta.columnMapping.mode' = 'id', "
        "'delta.enableDeletionVectors' = 'true', 'delta.enableTypeWidening' = 'true')"
    )
    table = made(NESTED, properties)
    alter(
        table,
        "DELETE FROM {0} WHERE image_id IN ('i00', 'i03', 'i05', 'i09')",
        "ALTER TABLE {0} RENAME COLUMN f TO `g h`",
        "ALTER TABLE {0} RENAME COLUMN s.a TO z",
        "ALTER TABLE {0} RENAME COLUMN l.element.q TO r",
        "ALTER TABLE {0} ALTER COLUMN w TYPE BIGINT",
        "ALTER TABLE {0} DROP COLUMN gone",
        "ALTER TABLE {0} ADD COLUMN (gone string, s.a int, later timestamp)",
        "INSERT INTO {0} SELECT 'i10', X'ffd8ff10', named_struct('z', 5, 'b', 'b', 'a', 6), NULL, "
        "NULL, 9876543210, 0.5, 'new', NULL",
    )
    remove_from(table, listed, tmp_path / "out", samples_per_shard=4)
    found = samples(tmp_path / "out")
    assert found == shown(spark, table)
    assert sorted(found) == ["i01", "i04", "i06", "i07", "i08", "i10"]
    assert found["i04"][1]["gone"] is None


def test_the_duplicates_alone_and_a_kept_plan_of_a_table_that_hides_rows(
    spark, remove_from, made, alter, listed, tmp_path
):
    table = made("id n", "TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    alter(table, "DELETE FROM {0} WHERE image_id IN ('i03', 'i05', 'i09')")
    remove_from(table, listed, tmp_path / "some", action="extract")
    every = shown(spark, table, without=())
    assert samples(tmp_path / "some") == {"i02": every["i02"]}
    remove_from(table, listed, tmp_path / "marked", action="annotate")
    marks = {key: mark[0] for key, mark in marks_in(tmp_path / "marked").items()}
    assert marks == {image_id: image_id == "i02" for image_id in every}
    plan = str(tmp_path / "plan")
    remove_from(table, listed, None, dry_run=True, removed_output=plan)
    report = remove_from(table, (), tmp_path / "out", apply_plan=plan)
    assert samples(tmp_path / "out") == shown(spark, table)
    assert report.counts["kept_rows"] == 6


PARTITIONS = (
    "element_at(array('x y/é=%+', '', '__HIVE_DEFAULT_PARTITION__x', '1'), cast(id % 5 + 1 as int))"
)


def test_values_of_partitions_are_those_of_the_log(spark, remove_from, made, listed, tmp_path):
    spark.conf.set("spark.sql.ansi.enabled", "false")  # an index after the last one gives NULL
    try:
        table = made(
            f"id n, {PARTITIONS} p, cast(id % 2 as tinyint) t, "
            "date'2020-02-29' d, timestamp'2020-02-29 23:59:59.123456+00:00' ts, "
            "timestamp_ntz'1900-01-01 00:00:00.5' ntz, cast(id % 2 as decimal(20, 10)) dec, "
            "id % 2 = 0 b, if(id % 2 = 0, double('NaN'), 1e300) x",
            "PARTITIONED BY (p, t, d, ts, ntz, dec, b, x)",
        )
    finally:
        spark.conf.unset("spark.sql.ansi.enabled")
    remove_from(table, listed, tmp_path / "out")
    found, expected = samples(tmp_path / "out"), shown(spark, table)
    for _, facts in found.values():
        assert facts.pop("ts") == "2020-02-29T23:59:59.123456Z"
        assert facts.pop("ntz") == "1900-01-01T00:00:00.500000"
    for _, facts in expected.values():
        del facts["ts"], facts["ntz"]
    assert found == expected
    assert {facts["p"] for _, facts in found.values()} == {
        *("x y/é=%+", "__HIVE_DEFAULT_PARTITION__x", "1", None)
    }


def test_a_shallow_clone_and_commits_that_come_while_the_job_runs(
    spark, remove_from, made, alter, listed, tmp_path, monkeypatch
):
    """The clone hides rows of files that are in the source's directory, and has one of its own."""
    source = made(
        "id n, id % 2 even",
        "PARTITIONED BY (even) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', "
        "'delta.columnMapping.mode' = 'name')",
    )
    clone = tmp_path / "a clone" / "c"
    alter(source, "DELETE FROM {0} WHERE image_id = 'i01'")
    alter(clone, f"CREATE TABLE {{0}} SHALLOW CLONE delta.`{source}`")
    alter(
        clone,
        "DELETE FROM {0} WHERE image_id = 'i03'",
        "INSERT INTO {0} VALUES ('i11', X'ffd8ff11', 11, 1)",
    )
    expected = shown(spark, clone)
    find_files = data_files.data_files

    def commit_first(*given):
        alter(
            clone,
            "ALTER TABLE {0} DROP COLUMN n",
            "ALTER TABLE {0} ADD COLUMN n BIGINT",
            "DELETE FROM {0} WHERE image_id = 'i04'",
        )
        return find_files(*given)

    monkeypatch.setattr(data_files, "data_files", commit_first)
    remove_from(clone, listed, tmp_path / "out")
    assert samples(tmp_path / "out") == expected
    assert "i04" in expected


def test_what_executors_can_not_read_as_spark_does_is_refused(refused, made, listed, monkeypatch):
    as_shards = {"output_format": "webdataset"}
    way_out = "Write it with --output-format parquet, and then that table as shards"
    table = made("parse_json('1') v")
    words = "column 'v' has the type variant, which only Spark"
    refused(ColumnTypeError, 3, words, table, listed, **as_shards)
    mapped = made("1 n", "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')", name="mapped")
    monkeypatch.setattr(physical_names, "_LOG_FILES", {})
    words = f"can't be read from its log. {way_out}"
    refused(UnsupportedError, 2, words, mapped, listed, **as_shards)
