"""--metrics-output: one row a run, however it ends, and never a run that ends otherwise for it."""

import logging
import re
import threading
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql.types import StringType, StructField, StructType

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import NoMatchesError, OutputExistsError, OverlapError, StorageError
from dedup_lib.metrics import COLUMNS, SCHEMA
from dedup_lib.session.open_storage import open_storage
from tests.support.processes.runs import FLAGS, console, small_inputs
from tests.support.tables.made import image_rows, names_in, tree_digest, write_list, write_parquet


@pytest.fixture
def place(tmp_path):
    return tmp_path / "metrics"


@pytest.fixture
def errors(caplog):
    """What was logged of rows that could not be appended."""

    def errors():
        return [
            record.getMessage()
            for record in caplog.records
            if record.levelno == logging.ERROR and record.name == "dedup_lib.metrics"
        ]

    return errors


def rows(spark, place):
    """The rows, in the order of the runs."""
    kind = "delta" if (place / "_delta_log").exists() else "parquet"
    return spark.read.format(kind).load(str(place)).orderBy("started_at").collect()


def empty_table(spark, place, schema=SCHEMA):
    spark.createDataFrame([], schema).write.format("delta").save(str(place))
    return place


def test_a_run_leaves_one_row_with_the_numbers_of_its_report(
    spark, remove, images, listed, tmp_path, place
):
    before = datetime.now(UTC)
    report = remove(images, listed, tmp_path / "out", metrics_output=str(place), run_key="monday")
    (row,) = rows(spark, place)
    assert (row.run, row.status, row.run_key) == (report.run, "succeeded", "monday")
    assert {name: row[name] for name in report.counts} == report.counts
    assert (row.input_rows, row.removed_rows, row.kept_rows) == (4, 1, 3)
    assert (row.input_bytes, row.output_bytes) == (report.bytes["input"], report.bytes["output"])
    for phase, seconds in report.seconds.items():
        assert row[f"{phase}_seconds"] == seconds
    assert (row.engine, row.method) == (report.engine, "rewrite")
    assert row.images == f"file:{images}"
    assert row.output == f"file:{tmp_path}/out"
    assert not row.dry_run | row.repeated
    started, finished = (row[name].astimezone(UTC) for name in ("started_at", "finished_at"))
    assert before <= started < finished <= datetime.now(UTC)
    assert finished - started < timedelta(minutes=5)


def test_the_file_is_plain_parquet_for_any_reader_and_nothing_lies_beside_it(
    remove, images, listed, tmp_path, place
):
    report = remove(images, listed, None, dry_run=True, metrics_output=str(place))
    assert names_in(tmp_path) == ["images", "list", "metrics"]
    (path,) = [path for path in place.iterdir() if not path.name.startswith(".")]
    assert path.name.endswith(f"-{report.run}.parquet")
    table = pq.read_table(path)
    assert table.column_names == list(COLUMNS)
    assert pa.types.is_timestamp(table.schema.field("started_at").type)
    assert "INT96" not in str(pq.ParquetFile(path).schema)


def test_rows_add_up_for_every_way_a_run_can_end(spark, remove, images, listed, tmp_path, place):
    asked = {"metrics_output": str(place)}
    remove(images, listed, None, dry_run=True, **asked)
    remove(images, listed, tmp_path / "out", run_key="k", **asked)
    remove(images, listed, tmp_path / "out", run_key="k", **asked)
    with pytest.raises(OutputExistsError):
        remove(images, listed, tmp_path / "out", **asked)
    other = write_list(tmp_path / "other/1.parquet", ["x"])
    with pytest.raises(NoMatchesError):
        remove(images, other, None, dry_run=True, **asked)
    found = [(row.status, row.dry_run, row.repeated, row.error_class) for row in rows(spark, place)]
    assert found == [
        ("dry_run", True, False, None),
        ("succeeded", False, False, None),
        ("succeeded", False, True, None),
        ("failed", False, False, "OutputExistsError"),
        ("failed", True, False, "NoMatchesError"),
    ]
    last = rows(spark, place)[-1]
    assert "none of the 1 list entries" in last.error_message
    assert (last.input_rows, last.apply_seconds) == (4, None)


def test_a_delta_table_that_is_at_the_path_gets_the_row_in_one_commit(
    spark, remove, images, listed, tmp_path, place
):
    empty_table(spark, place)
    report = remove(
        images, listed, tmp_path / "o", output_format="delta", metrics_output=str(place)
    )
    (row,) = rows(spark, place)
    assert (row.run, row.output_version) == (report.run, 0)
    assert len(list((place / "_delta_log").glob("*.json"))) == 2


def test_a_table_by_name_is_made_with_comments_and_appended_to(
    spark, remove, images, listed, tmp_path, name
):
    for _ in range(2):
        remove(images, listed, None, dry_run=True, metrics_output=name)
    assert spark.table(name).select("status").collect() == [("dry_run",)] * 2
    assert spark.sql(f"DESCRIBE DETAIL {name}").collect()[0]["format"] == "delta"
    comments = {field.name: field.metadata.get("comment") for field in spark.table(name).schema}
    assert comments == {column: text for column, (_, text) in COLUMNS.items()}


def test_columns_of_ones_own_stay_null(spark, remove, images, listed, tmp_path, place):
    empty_table(spark, place, StructType([*SCHEMA]).add("team", "string"))
    remove(images, listed, None, dry_run=True, metrics_output=str(place))
    assert [(row.team, row.kept_rows) for row in rows(spark, place)] == [(None, 3)]


WITHOUT_KEPT_ROWS = StructType([field for field in SCHEMA if field.name != "kept_rows"])
HINDRANCES = {
    "a file": (lambda _, place: place.write_text("x"), "is a file"),
    "another Parquet table": (
        lambda _, place: write_parquet(image_rows(["x"]), place / "1.parquet"),
        "is not a metrics table: it has no column 'run'",
    ),
    "other things": (
        lambda _, place: write_parquet(image_rows(["x"]), place / "part=1/1.parquet"),
        "holds 'part=1'",
    ),
    "another Delta table": (
        lambda spark, place: empty_table(spark, place, "image_id string"),
        "is not a metrics table",
    ),
    "a Delta table without a column": (
        lambda spark, place: empty_table(spark, place, WITHOUT_KEPT_ROWS),
        r"ALTER TABLE delta\.`/.*` ADD COLUMNS \(kept_rows bigint\)",
    ),
    "a Delta table with a column of another type": (
        lambda spark, place: empty_table(
            spark, place, StructType([*WITHOUT_KEPT_ROWS, StructField("kept_rows", StringType())])
        ),
        "'kept_rows' of .* is string, but must be bigint",
    ),
}


@pytest.mark.parametrize(("make", "reason"), HINDRANCES.values(), ids=HINDRANCES)
def test_what_is_no_table_of_metrics_is_left_alone_and_the_run_ends_well(
    spark, remove, images, listed, tmp_path, place, errors, make, reason
):
    make(spark, place)
    before = tree_digest(place) if place.is_dir() else place.read_text()
    report = remove(images, listed, None, dry_run=True, metrics_output=str(place))
    assert report.status == "dry_run"
    assert (tree_digest(place) if place.is_dir() else place.read_text()) == before
    (error,) = errors()
    assert re.search(reason, error)


@pytest.mark.parametrize("location", ["nosuch://h/x", "nosuch_schema.metrics", "a_view"])
def test_a_place_that_cant_be_had_fails_no_run(
    spark, remove, images, listed, tmp_path, errors, location
):
    spark.range(1).createOrReplaceTempView("a_view")
    try:
        report = remove(images, listed, None, dry_run=True, metrics_output=location)
    finally:
        spark.catalog.dropTempView("a_view")
    assert report.status == "dry_run"
    (error,) = errors()
    assert error.startswith("no row was appended to --metrics-output: ")


def test_a_failed_run_keeps_its_own_error_where_no_row_can_be_appended(
    remove, images, tmp_path, place, errors
):
    place.write_text("x")
    wrong = write_list(tmp_path / "other/1.parquet", ["x"])
    with pytest.raises(NoMatchesError):
        remove(images, wrong, tmp_path / "out", metrics_output=str(place))
    assert len(errors()) == 1


@pytest.mark.parametrize("relation", ["is", "lies inside"])
@pytest.mark.parametrize("other", ["images", "list", "out", "removed"])
def test_g5_metrics_over_another_place_of_the_run_are_refused_and_not_written(
    remove, images, listed, tmp_path, relation, other
):
    location = tmp_path / other / ("x" if relation == "lies inside" else "")
    before = tree_digest(tmp_path), names_in(tmp_path)
    removed = str(tmp_path / "removed")
    with pytest.raises(OverlapError):
        remove(
            images, listed, tmp_path / "out", removed_output=removed, metrics_output=str(location)
        )
    assert (tree_digest(tmp_path), names_in(tmp_path)) == before


@pytest.mark.classic("a client has one session of a server")
def test_runs_at_the_same_time_lose_no_row(spark, images, listed, tmp_path, place, name, errors):
    """In one process, with a session each, into one new directory and one new table."""
    meeting = threading.Barrier(4)

    def one(index, location):
        settings = Settings(
            images=str(images),
            duplicate_ids=(DuplicateIds(str(listed)),),
            dry_run=True,
            metrics_output=location,
        )
        session = spark.newSession()
        meeting.wait()
        run(session, settings)

    for location in (str(place), name):
        threads = [threading.Thread(target=one, args=(index, location)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors() == []
    assert len({row.run for row in rows(spark, place)}) == 4
    assert spark.table(name).select("run").distinct().count() == 4
    assert [path for path in names_in(tmp_path) if path.startswith(".")] == []


def test_the_file_appears_by_one_rename_and_nothing_is_left_where_that_fails(
    spark, remove, images, listed, tmp_path, place, monkeypatch, errors
):
    def refuse(self, source, target):
        assert pq.read_table(source.removeprefix("file:")).num_rows == 1
        assert names_in(place) == []
        raise StorageError("the disk is gone")

    monkeypatch.setattr(type(open_storage(spark)), "rename", refuse)
    remove(images, listed, None, dry_run=True, metrics_output=str(place))
    assert names_in(tmp_path) == ["images", "list", "metrics"]
    assert names_in(place) == []
    assert errors() == ["no row was appended to --metrics-output: the disk is gone"]


def test_the_command_ends_as_it_would_have_without_metrics(spark, tmp_path):
    """A process: the flag in TOML, the row of a failure, and an error that keeps exit code 0."""
    small_inputs(tmp_path)
    with (tmp_path / "job.toml").open("a") as stream:
        stream.write('metrics_output = "./runs"\n')
    wrong = console("--config", "job.toml", "--duplicate-ids", "in/wrong.parquet", cwd=tmp_path)
    assert wrong.returncode == 4, wrong.stderr
    (row,) = rows(spark, tmp_path / "runs")
    assert (row.status, row.error_class) == ("failed", "NoMatchesError")
    result = console(*FLAGS, "--metrics-output", "./job.toml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "ERROR dedup_lib.metrics: no row was appended to --metrics-output" in result.stderr
    assert result.stdout.count("\n") == 1
