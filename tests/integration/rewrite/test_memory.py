"""Memory is bounded by settings: not by what images weigh, and not by how long a list is."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.processes.small_heap_runs import (
    IMAGE_BYTES,
    make_big_images,
    small_heap_runs,
)

pytestmark = pytest.mark.classic("it starts processes of its own")


def test_g12_big_images_go_through_a_small_heap_by_every_engine(tmp_path):
    make_big_images(tmp_path)
    outputs = (
        {"engine": "arrow"},
        {"strategy": "broadcast-ids"},
        {"strategy": "row-positions", "output_format": "delta"},
    )
    inputs = {"images": f"{tmp_path}/images", "duplicate_ids": f"{tmp_path}/list"}
    steps = [
        {**inputs, **values, "output": f"{tmp_path}/{number}"}
        for number, values in enumerate(outputs)
    ]
    reports = small_heap_runs(tmp_path, "1200m", steps)
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
    inputs = {"images": f"{tmp_path}/images", "duplicate_ids": f"{tmp_path}/list"}
    step = {**inputs, "dry_run": True, "max_removed_fraction": 1.0}
    (report,) = small_heap_runs(tmp_path, "1g", [step])
    assert report["counts"]["list_rows"] == 12_000_000
    assert report["counts"]["removed_rows"] == 3_000
