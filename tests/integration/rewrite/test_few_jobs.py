"""A small run is a few Spark jobs: each costs planning and scheduling, whatever its rows."""

import pytest

from dedup_lib.session import conf
from dedup_lib.session.conf import session_settings
from tests.support.spark.stages import newest_job, newest_stage, stages_since
from tests.support.tables.made import image_rows, write_list, write_parquet

pytestmark = pytest.mark.classic("its server's jobs are not those of this session")
MOST_JOBS = 15


@pytest.fixture
def images(tmp_path):
    for number in range(4):
        rows = image_rows([f"{number}-{index}" for index in range(5)])
        write_parquet(rows, tmp_path / f"images/{number}.parquet")
    write_list(tmp_path / "list/1.parquet", ["0-1", "2-4", "x"])
    return tmp_path / "images"


@pytest.fixture
def few_rows(as_shipped, monkeypatch):
    """The session of `as_shipped`, and the number of rows up to which they are few."""
    monkeypatch.setattr(conf, "FEW_ROWS", 100)


def jobs_of(remove, spark, images, output="out"):
    before = newest_job(spark)
    remove(images, images.parent / "list", images.parent / output)
    return newest_job(spark) - before


def test_a_small_run_has_few_jobs(remove, spark, images, few_rows):
    assert jobs_of(remove, spark, images) <= MOST_JOBS


def test_a_table_with_many_rows_is_planned_in_more(remove, spark, images, few_rows, monkeypatch):
    """Spark then plans anew after each stage, as a job."""
    few = jobs_of(remove, spark, images)
    monkeypatch.setattr(conf, "FEW_ROWS", 10)
    assert jobs_of(remove, spark, images, "more") > few


@pytest.mark.parametrize("method", ["rewrite", "clone"])
@pytest.mark.parametrize("source", ["parquet", "delta"])
def test_small_logs_are_read_in_few_tasks(remove, spark, images, few_rows, source, method):
    """Delta's own default is 50 tasks for each state of each table."""
    at = images
    if source == "delta":
        at = images.parent / "delta"
        spark.read.parquet(str(images)).write.format("delta").save(str(at))
    newest = newest_stage(spark)
    with session_settings(spark, {"spark.databricks.delta.snapshotPartitions": None}):
        output = images.parent / "out"
        remove(at, images.parent / "list", output, method=method, output_format="delta")
    most = max(stages_since(spark, newest), key=lambda stage: stage.numTasks())
    assert most.numTasks() <= 4, most.name()
