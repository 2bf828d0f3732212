"""Tables of Iceberg that the job makes are written and read in a small heap."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.processes.small_heap_runs import (
    IMAGE_BYTES,
    make_big_images,
    small_heap_runs,
)
from tests.support.spark.settings import EXTENSIONS, iceberg_catalog

pytestmark = pytest.mark.classic("it starts processes of its own")
NUM_PARTITIONS = 1_000


@pytest.fixture
def runs(tmp_path):
    """runs(step, …): the reports of runs in a heap of 1.2 GB, with a catalog `ice`."""
    catalog = iceberg_catalog(str(tmp_path / "warehouse"))

    def runs(*steps):
        settings = {"spark.sql.extensions": EXTENSIONS, **catalog}
        return small_heap_runs(tmp_path, "1200m", ["CREATE SCHEMA ice.db", *steps], settings)

    return runs


def test_g12_big_images_go_into_and_out_of_iceberg_tables(runs, tmp_path):
    make_big_images(tmp_path)
    listed, none = str(tmp_path / "list"), {"allow_no_matches": True}
    reports = runs(
        {"images": str(tmp_path / "images"), "output": "ice.db.first", "duplicate_ids": listed},
        {"images": "ice.db.first", "output": "ice.db.second", "duplicate_ids": listed, **none},
        {
            "images": "ice.db.second",
            "output": str(tmp_path / "delta"),
            "output_format": "delta",
            "duplicate_ids": listed,
            **none,
        },
    )
    for report in reports:
        assert report["counts"]["kept_rows"] == 40
        assert report["bytes"]["output"] > 40 * IMAGE_BYTES


def test_g12_many_partitions_do_not_open_more_writers_than_a_heap_holds(runs, tmp_path):
    """The rows of two files go to all partitions: the spec of the table is newer than they are."""
    generator = np.random.default_rng(0)
    for folder in ("images", "list"):
        (tmp_path / folder).mkdir()
    for part in range(2):
        rows = {
            "image_id": [f"id-{part}-{number}" for number in range(NUM_PARTITIONS)],
            "image": [generator.bytes(100_000) for _ in range(NUM_PARTITIONS)],
            "shard": pa.array(range(NUM_PARTITIONS), pa.int32()),
        }
        path = tmp_path / f"images/{part}.parquet"
        pq.write_table(pa.table(rows), path, row_group_size=100, compression="none")
    listed = {"duplicate_ids": str(tmp_path / "list")}
    pq.write_table(pa.table({"id": ["id-0-1", "id-1-7"]}), tmp_path / "list/1.parquet")
    first, second = runs(
        {"images": str(tmp_path / "images"), "output": "ice.db.first", **listed},
        "ALTER TABLE ice.db.first ADD PARTITION FIELD shard",
        {
            "images": "ice.db.first",
            "output": "ice.db.second",
            "duplicate_ids": listed["duplicate_ids"],
            "allow_no_matches": True,
        },
    )
    assert first["counts"]["kept_rows"] == second["counts"]["kept_rows"] == 1_998
    partitions = {path.parent for path in tmp_path.glob("warehouse/db/second/data/*/*.parquet")}
    assert len(partitions) == NUM_PARTITIONS
