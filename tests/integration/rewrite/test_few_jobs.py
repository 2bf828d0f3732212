"""A small run is a few Spark jobs: each costs planning and scheduling, whatever its rows."""

import pytest

from dedup_lib.session import conf
from tests.support.spark.stages import newest_job
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


def jobs_of(remove, spark, images, output="out"):
    before = newest_job(spark)
    remove(images, images.parent / "list", images.parent / output)
    return newest_job(spark) - before


def test_a_small_run_has_few_jobs(remove, spark, images, as_shipped):
    assert jobs_of(remove, spark, images) <= MOST_JOBS


def test_a_table_with_many_rows_is_planned_in_more(remove, spark, images, as_shipped, monkeypatch):
    """Spark then plans anew after each stage, as a job."""
    few = jobs_of(remove, spark, images)
    monkeypatch.setattr(conf, "FEW_ROWS", 10)
    assert jobs_of(remove, spark, images, "more") > few
