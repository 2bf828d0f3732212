"""Memory is bounded by settings: not by what images weigh, and not by how long a list is."""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.paths import ROOT
from tests.support.processes.runs import CONSOLE_ENVIRONMENT, run

pytestmark = pytest.mark.classic("it starts processes of its own")

IMAGE_BYTES, NUM_IMAGES = 25 * 1024**2, 60


def runs(folder, heap, *settings):
    """Run the job several times in one process with a small heap; return the reports."""
    common = {"images": f"{folder}/images", "duplicate_ids": f"{folder}/list"}
    arguments = CONSOLE_ENVIRONMENT["PYSPARK_SUBMIT_ARGS"].replace(
        "spark.driver.memory=1g", f"spark.driver.memory={heap}"
    )
    result = run(
        [
            sys.executable,
            ROOT / "tests/support/processes/small_heap.py",
            json.dumps([common | s for s in settings]),
        ],
        cwd=folder,
        PYTHONPATH=str(ROOT),
        PYSPARK_SUBMIT_ARGS=arguments,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def big_images(tmp_path):
    """1.5 GB: 60 images of 25 MB, each in a row group of its own, in two partitions."""
    generator = np.random.default_rng(0)
    schema = pa.schema({"image_id": pa.string(), "image": pa.binary()})
    for part in range(2):
        path = tmp_path / f"images/part={part}/1.parquet"
        path.parent.mkdir(parents=True)
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
            for number in range(part, NUM_IMAGES, 2):
                rows = {"image_id": [f"id-{number}"], "image": [generator.bytes(IMAGE_BYTES)]}
                writer.write_table(pa.table(rows, schema))
    (tmp_path / "list").mkdir()
    listed = [f"id-{number}" for number in range(0, NUM_IMAGES, 3)]
    pq.write_table(pa.table({"id": listed}), tmp_path / "list/1.parquet")
    return tmp_path


def test_g12_big_images_go_through_a_small_heap_by_every_engine(big_images):
    outputs = (
        {"engine": "arrow"},
        {"strategy": "broadcast-ids"},
        {"strategy": "row-positions", "output_format": "delta"},
    )
    settings = [
        {**values, "output": f"{big_images}/{number}"} for number, values in enumerate(outputs)
    ]
    reports = runs(big_images, "1200m", *settings)
    assert [report["engine"] for report in reports] == ["arrow", "spark", "spark"]
    for report in reports:
        assert report["counts"]["kept_rows"] == 40
        assert report["bytes"]["output"] > 40 * IMAGE_BYTES


def test_g13_a_list_far_larger_than_the_heap_goes_through(tmp_path):
    """12 million entries: as a broadcast they would weigh some 1 GB, in a heap of 1 GB."""
    rows = pa.table({"image_id": [f"id-{n:030d}" for n in range(3_000)]})
    (tmp_path / "images").mkdir()
    pq.write_table(rows, tmp_path / "images/1.parquet")
    (tmp_path / "list").mkdir()
    for part in range(8):
        numbers = pa.array(np.arange(part, 12_000_000, 8)).cast(pa.string())
        ids = pa.compute.binary_join_element_wise("id-", pa.compute.utf8_lpad(numbers, 30, "0"), "")
        pq.write_table(pa.table({"id": ids}), tmp_path / f"list/{part}.parquet")
    (report,) = runs(tmp_path, "1g", {"dry_run": True, "max_removed_fraction": 1.0})
    assert report["counts"]["list_rows"] == 12_000_000
    assert report["counts"]["removed_rows"] == 3_000
